from __future__ import annotations

from pathlib import Path

import pytest

from devdb.engines import answers

ANSWER = "PgBouncer 1.24.1\ntls: ÖpenSSL\n"


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("DEVDB_CACHE_DIR", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.mark.parametrize("answer", [ANSWER, "", "\n"])
def test_what_was_kept_is_recalled(answer: str) -> None:
    assert answers.recall("programs", "version") is None
    answers.keep("programs", "version", answer)
    assert answers.recall("programs", "version") == answer
    assert answers.recall("images", "version") is None


def test_no_beginning_of_it_is_believed_and_no_other_text(cache: Path) -> None:
    answers.keep("programs", "version", ANSWER)
    path = cache / "answers" / "programs" / "version"
    whole = path.read_bytes()
    for length in range(len(whole)):
        for rest in (b"", bytes(len(whole) - length)):
            path.write_bytes(whole[:length] + rest)
            assert answers.recall("programs", "version") is None
    path.write_text(ANSWER)
    assert answers.recall("programs", "version") is None
    answers.keep("programs", "version", ANSWER)
    assert answers.recall("programs", "version") == ANSWER


def test_that_it_cannot_be_kept_is_no_loss(cache: Path) -> None:
    cache.write_text("a file where the directory should be")
    answers.keep("programs", "version", ANSWER)
    assert answers.recall("programs", "version") is None


def test_what_was_answered_is_asked_once() -> None:
    answered = iter(["17", "18"])
    for _ in range(2):
        assert answers.asked("programs", "version", lambda: next(answered)) == "17"
    nothing: list[str | None] = [None, "late"]
    for expected in (None, "late", "late"):
        assert answers.asked("images", "version", lambda: nothing.pop(0)) == expected
