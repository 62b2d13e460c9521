from __future__ import annotations

import os
import stat
import sys
from pathlib import Path

import pytest

from devdb.replacing import in_place_of, sync_tree


@pytest.mark.parametrize("durable", [False, True])
def test_an_exception_leaves_what_was_there(tmp_path: Path, durable: bool) -> None:
    path = tmp_path / "file"
    path.write_text("before")
    with pytest.raises(TypeError), in_place_of(path, durable=durable) as (file, _):
        file.writelines([b"half", None])  # type: ignore[list-item]
    assert path.read_text() == "before"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("durable", [False, True])
def test_a_whole_one_takes_its_place(tmp_path: Path, durable: bool) -> None:
    path = tmp_path / "file"
    with in_place_of(path, durable=durable) as (file, temporary):
        file.write(b"whole")
        assert temporary.parent == tmp_path
        assert not path.exists()
    assert path.read_text() == "whole"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


@pytest.mark.parametrize("platform", [sys.platform, "another"])
def test_a_tree_is_synced_with_whatever_is_in_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, platform: str
) -> None:
    """On another system file by file, where a pipe or a dangling symlink must not stop it."""
    (tmp_path / "in" / "deeper").mkdir(parents=True)
    (tmp_path / "in" / "deeper" / "file").write_text("text")
    (tmp_path / "in" / "link").symlink_to("nowhere")
    os.mkfifo(tmp_path / "in" / "pipe")
    with monkeypatch.context() as patch:
        patch.setattr(sys, "platform", platform)
        sync_tree(tmp_path)
        with pytest.raises(FileNotFoundError):
            sync_tree(tmp_path / "missing" / "file")
