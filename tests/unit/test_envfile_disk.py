"""Writing `.env` files: whole or not at all, with mode, owner and links respected."""

import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from devdb.envfile import Action, Git, git_has, present, read, write
from devdb.errors import DevdbError

NEW = {"A": "x"}


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_new_file_is_private(tmp_path: Path) -> None:
    path = tmp_path / ".env"
    written = write(path, NEW, project=tmp_path)
    assert path.read_bytes() == b"A=x\n"
    assert mode(path) == 0o600
    assert (written.created, written.changed, written.readable_by_others) == (True, True, False)


@pytest.mark.parametrize("bits", [0o600, 0o640, 0o664])
def test_existing_file_keeps_mode_and_bytes(tmp_path: Path, bits: int) -> None:
    path = tmp_path / ".env"
    path.write_bytes(b"\xef\xbb\xbf# caf\xe9\r\nA=old\r\nB=2")
    path.chmod(bits)
    written = write(path, NEW, project=tmp_path)
    assert path.read_bytes() == b"\xef\xbb\xbf# caf\xe9\r\nA=x\r\nB=2"
    assert mode(path) == bits
    assert written.readable_by_others == bool(bits & 0o044)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may give files away")
def test_existing_file_keeps_its_owner(tmp_path: Path) -> None:
    path = tmp_path / ".env"
    path.write_text("A=old\n")
    os.chown(path, 12345, 23456)
    write(path, NEW, project=tmp_path)
    assert (path.stat().st_uid, path.stat().st_gid) == (12345, 23456)


def test_second_time_touches_nothing(tmp_path: Path) -> None:
    path = tmp_path / ".env"
    write(path, NEW, project=tmp_path)
    before = path.stat()
    written = write(path, NEW, project=tmp_path)
    assert written.changed is False
    assert written.changes[0].action == Action.UNCHANGED
    assert (path.stat().st_ino, path.stat().st_mtime_ns) == (before.st_ino, before.st_mtime_ns)


def test_dry_run_writes_nothing_and_shows_the_difference(tmp_path: Path) -> None:
    path = tmp_path / ".env"
    written = write(path, NEW, project=tmp_path, dry_run=True)
    assert not path.exists()
    assert (written.created, written.changed, written.diff) == (True, True, "+A=x\n")


def test_link_within_the_project_is_written_through(tmp_path: Path) -> None:
    (tmp_path / "config").mkdir()
    target = tmp_path / "config" / "env"
    target.write_text("A=old\n")
    (tmp_path / "app").mkdir()
    link = tmp_path / "app" / ".env"
    link.symlink_to("../config/env")
    written = write(link, NEW, project=tmp_path)
    assert link.is_symlink()
    assert target.read_text() == "A=x\n"
    assert (written.path, written.link) == (target, link)


def test_dangling_link_within_the_project_makes_its_target(tmp_path: Path) -> None:
    link = tmp_path / ".env"
    link.symlink_to("env.local")
    write(link, NEW, project=tmp_path)
    assert link.is_symlink()
    assert (tmp_path / "env.local").read_text() == "A=x\n"


@pytest.mark.parametrize("project", ["project", None, "elsewhere"])
def test_link_out_of_the_project_is_refused(tmp_path: Path, project: str | None) -> None:
    (tmp_path / "project").mkdir()
    (tmp_path / "elsewhere").mkdir()
    target = tmp_path / "elsewhere.env"
    target.write_text("A=old\n")
    link = tmp_path / "project" / ".env"
    link.symlink_to(target)
    with pytest.raises(DevdbError, match="symbolic link") as caught:
        write(link, NEW, project=tmp_path / project if project else None)
    assert str(target) in caught.value.hint
    assert target.read_text() == "A=old\n"
    assert write(target, NEW, project=tmp_path / "project").link is None


def test_project_reached_through_a_link_is_still_the_project(tmp_path: Path) -> None:
    (tmp_path / "real" / "app").mkdir(parents=True)
    (tmp_path / "real" / ".env").write_text("A=old\n")
    (tmp_path / "real" / "app" / ".env").symlink_to("../.env")
    (tmp_path / "link").symlink_to("real")
    write(tmp_path / "link" / "app" / ".env", NEW, project=tmp_path / "real")
    assert (tmp_path / "real" / ".env").read_text() == "A=x\n"


def test_loop_of_links_is_an_error(tmp_path: Path) -> None:
    (tmp_path / ".env").symlink_to("other")
    (tmp_path / "other").symlink_to(".env")
    with pytest.raises(DevdbError):
        write(tmp_path / ".env", NEW, project=tmp_path)


def test_directory_is_an_error(tmp_path: Path) -> None:
    (tmp_path / ".env").mkdir()
    with pytest.raises(DevdbError, match="is a directory"):
        write(tmp_path / ".env", NEW, project=tmp_path)


def test_fifo_is_an_error_and_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / ".env")
    with pytest.raises(DevdbError, match="not a regular file"):
        write(tmp_path / ".env", NEW, project=tmp_path)


def test_read_only_file_is_an_error_even_for_root(tmp_path: Path) -> None:
    path = tmp_path / ".env"
    path.write_text("A=old\n")
    path.chmod(0o444)
    with pytest.raises(DevdbError, match="read-only") as caught:
        write(path, NEW, project=tmp_path)
    assert "chmod u+w" in caught.value.hint
    assert path.read_text() == "A=old\n"
    assert write(path, {"A": "old"}, project=tmp_path).changed is False


def test_missing_directory_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(DevdbError, match="There is no directory"):
        write(tmp_path / "no" / ".env", NEW, project=tmp_path)


def test_utf_16_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / ".env"
    content = "A=old\n".encode("utf-16")
    path.write_bytes(content)
    with pytest.raises(DevdbError, match="not UTF-8"):
        write(path, NEW, project=tmp_path)
    assert path.read_bytes() == content


@pytest.mark.skipif(os.geteuid() != 0, reason="needs another user to be refused as")
@pytest.mark.parametrize("case", ["unreadable", "directory"])
def test_refused_by_the_system_leaves_everything_as_it_was(tmp_path: Path, case: str) -> None:
    """As an ordinary user: a file that is somebody else's, a directory that is not writable."""
    path = tmp_path / "dir" / ".env"
    path.parent.mkdir()
    path.write_text("A=old\n")
    path.chmod(0o600 if case == "unreadable" else 0o666)
    for parent in path.parents:
        if parent.is_relative_to(tmp_path.parents[1]):
            parent.chmod(0o755)
    script = "import os,pathlib,sys; from devdb import envfile; os.setresuid(65534, 65534, 65534)\n"
    script += "envfile.write(pathlib.Path(sys.argv[1]), {'A': 'x'}, project=None)"
    child = subprocess.run([sys.executable, "-c", script, path], capture_output=True, text=True)
    assert "devdb.errors.DevdbError" in child.stderr
    assert path.read_text() == "A=old\n"
    assert [entry.name for entry in path.parent.iterdir()] == [".env"]


def test_full_disk_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / ".env"
    path.write_text("A=old\n")

    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(DevdbError, match="No space left"):
        write(path, NEW, project=tmp_path)
    assert path.read_text() == "A=old\n"
    assert [entry.name for entry in tmp_path.iterdir()] == [".env"]


def test_git_tells_what_it_has(tmp_path: Path) -> None:
    path = tmp_path / ".env"
    assert git_has(path) is None
    subprocess.run(["git", "init", "-q", str(tmp_path)], check=True)
    assert git_has(path) == Git.OFFERED
    (tmp_path / ".gitignore").write_text(".env\n")
    assert git_has(path) == Git.IGNORED
    path.touch()
    subprocess.run(["git", "-C", str(tmp_path), "add", "--force", ".env"], check=True)
    assert git_has(path) == Git.TRACKED


def test_read_is_what_the_file_assigns(tmp_path: Path) -> None:
    path = tmp_path / ".env"
    assert read(path) == {}
    path.write_bytes("\ufeffexport A='x' # c\r\n#B=1\r\nC=\r\nA=last\r\n".encode())
    assert read(path) == {"A": "last", "C": ""}
    path.write_bytes("A=x\n".encode("utf-16"))
    assert read(path) == {"A": "x"}


def test_present_has_the_regular_files_that_assign_something(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("# nothing\n")
    os.mkfifo(tmp_path / ".env.development")
    (tmp_path / ".env.local").write_text("A=1\n")
    (tmp_path / ".env.other").write_text("A=1\n")
    assert present(tmp_path) == {".env.local": {"A": "1"}}


def test_asking_git_runs_nothing_that_a_repository_names(tmp_path: Path) -> None:
    ran = tmp_path / "ran"
    git = ["git", "-C", str(tmp_path)]
    subprocess.run([*git, "init", "-q"], check=True)
    (tmp_path / "tracked").touch()
    subprocess.run([*git, "add", "tracked"], check=True)
    subprocess.run([*git, "config", "core.fsmonitor", f"touch '{ran}' #"], check=True)
    assert git_has(tmp_path / ".env") == Git.OFFERED
    assert not ran.exists()
