"""One key of a `devdb.toml` set, and every other byte left as it was."""

from __future__ import annotations

import stat
import tomllib
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from devdb.config.editing import edited, keep
from devdb.errors import DevdbError


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("", 'client = "pgx"\n'),
        ("pg = 17", 'pg = 17\nclient = "pgx"\n'),
        ("pg = 17\r\n", 'pg = 17\r\nclient = "pgx"\r\n'),
        (
            "# ours\npg = 17  # new\n\n# faster\n[postgres]\nclient_x = 1\n",
            '# ours\npg = 17  # new\n\n# faster\nclient = "pgx"\n\n[postgres]\nclient_x = 1\n',
        ),
        ("[postgres]\nclient = 'no'\n", "client = \"pgx\"\n\n[postgres]\nclient = 'no'\n"),
        ("client = [\n'a'\n]\n", 'client = "pgx"\n'),
        ("  client='rails'# why\npg=17", '  client="pgx"# why\npg=17'),
        ('"client" = "a\\"b" # "c"\n', '"client" = "pgx" # "c"\n'),
        ("client = 3\n", 'client = "pgx"\n'),
        ('client = "pgx"  # as is\r\n', 'client = "pgx"  # as is\r\n'),
        (
            "image = '''\nclient = 'a'\n'''\nclient = 'b'\n",
            "image = '''\nclient = 'a'\n'''\nclient = \"pgx\"\n",
        ),
        ("image = '''\n[postgres]\n'''\n", "image = '''\n[postgres]\n'''\nclient = \"pgx\"\n"),
    ],
)
def test_the_line_is_changed_or_added_where_it_belongs(before: str, after: str) -> None:
    assert edited(before, "client", "pgx") == after


LINES = st.lists(
    st.sampled_from(
        [
            *("pg = 17", "# client = 'x'", "", "[postgres]", "work_mem = '64MB'", "[a.b]"),
            *("client = 'old' # c", "image = '''", "'''", "x = [", "]", "\tengine='auto'"),
        ]
    ),
    max_size=8,
)


@given(lines=LINES, newline=st.sampled_from(["\n", "\r\n"]), ended=st.booleans())
def test_whatever_the_file_nothing_else_changes(
    lines: list[str], newline: str, ended: bool
) -> None:
    text = newline.join(lines) + (newline if ended else "")
    try:
        before = tomllib.loads(text)
    except tomllib.TOMLDecodeError:
        with pytest.raises(ValueError, match=r"."):
            edited(text, "client", "pgx")
        return
    after = edited(text, "client", "pgx")
    assert tomllib.loads(after) == {**before, "client": "pgx"}
    assert edited(after, "client", "pgx") == after
    old, new = Counter(text.splitlines()), Counter(after.splitlines())
    assert sum((new - old).values()) - (new - old)[""] <= 1
    assert list((old - new).elements()) == (
        ["client = 'old' # c"] if "client" in before and after != text else []
    )


def test_what_is_no_toml_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "devdb.toml").write_text("a =")
    with pytest.raises(DevdbError) as caught:
        keep(tmp_path, "client", "pgx")
    assert 'client = "pgx"' in caught.value.hint
    assert (tmp_path / "devdb.toml").read_text() == "a ="


def test_the_file_keeps_its_mode_and_its_link(tmp_path: Path) -> None:
    real, link = tmp_path / "ours.toml", tmp_path / "devdb.toml"
    real.write_text("pg = 17\n")
    real.chmod(0o640)
    link.symlink_to(real)
    assert keep(tmp_path, "client", "pgx") == link
    assert link.is_symlink()
    assert real.read_text() == 'pg = 17\nclient = "pgx"\n'
    assert stat.S_IMODE(real.stat().st_mode) == 0o640


def test_a_byte_order_mark_stays(tmp_path: Path) -> None:
    (tmp_path / "devdb.toml").write_bytes(b"\xef\xbb\xbfpg = 17\r\n")
    keep(tmp_path, "client", "pgx")
    after = (tmp_path / "devdb.toml").read_bytes()
    assert after == b'\xef\xbb\xbfpg = 17\r\nclient = "pgx"\r\n'


def test_a_new_file_is_for_everybody_to_read(tmp_path: Path) -> None:
    path = keep(tmp_path, "client", "pgx")
    assert path.read_text() == 'client = "pgx"\n'
    assert stat.S_IMODE(path.stat().st_mode) == 0o644
    assert [each.name for each in tmp_path.iterdir()] == ["devdb.toml"]


def test_a_read_only_file_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "devdb.toml").touch(mode=0o444)
    with pytest.raises(DevdbError, match="read-only"):
        keep(tmp_path, "client", "pgx")
