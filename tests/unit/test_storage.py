"""Where the data of an instance for tests may be."""

from __future__ import annotations

from pathlib import Path

import pytest
import world

from devdb.workspace import storage

GIGABYTE = 1_000_000_000


def meminfo(free: int) -> str:
    return f"MemTotal: 99 kB\nMemAvailable:   {free // 1024} kB\nBuffers: 1 kB\n"


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A machine with so much memory that it is never the reason, and no group with a limit."""
    (tmp_path / "meminfo").write_text(meminfo(64 * GIGABYTE))
    (tmp_path / "group").mkdir()
    monkeypatch.setattr(storage, "SYSTEM", tmp_path / "meminfo")
    monkeypatch.setattr(storage, "GROUP", tmp_path / "group")
    return tmp_path


def test_memory_is_what_is_mounted_as_such(machine: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(storage, "MEMORY", Path("/proc"))
    assert storage.obstacle(in_files=True) == "there is no /proc that is memory"
    monkeypatch.setattr(storage, "MEMORY", machine / "shm")  # as on macOS
    assert "that is memory" in str(storage.obstacle(in_files=True))
    assert storage.obstacle(in_files=False) is None  # an engine has its own


def test_memory_that_is_short_is_an_obstacle(machine: Path) -> None:
    (machine / "meminfo").write_text(meminfo(300_000_000))
    reason = "299 MB of memory are available, 512 MB are needed"
    assert storage.obstacle(in_files=False) == reason
    assert storage.room(Path("/proc"), in_memory=True) == 300_000_000 // 1024 * 1024 // 4


def test_on_disk_it_is_as_much_as_can_be_deleted_in_time(machine: Path) -> None:
    assert 0 < storage.room(machine, in_memory=False) <= 300_000_000


def test_the_limit_of_a_container_counts_without_what_it_would_give_up(machine: Path) -> None:
    group = machine / "group"
    (group / "memory.max").write_text("max\n")
    assert storage.available() == 64 * GIGABYTE // 1024 * 1024
    (group / "memory.max").write_text(f"{GIGABYTE}\n")
    (group / "memory.current").write_text("900000000\n")
    (group / "memory.stat").write_text("anon 1\ninactive_file 300000000\n")
    assert storage.available() == 400_000_000
    assert storage.obstacle(in_files=False) is not None
    for name in ("memory.max", "memory.current", "memory.stat"):
        (group / name).unlink()
    (group / "memory").mkdir()
    (group / "memory" / "memory.limit_in_bytes").write_text("9223372036854771712\n")  # v1: none
    (group / "memory" / "memory.usage_in_bytes").write_text("1\n")
    (group / "memory" / "memory.stat").write_text("total_inactive_file 0\n")
    assert storage.available() == 64 * GIGABYTE // 1024 * 1024


def test_what_is_reserved_is_there_when_nothing_else_is(machine: Path) -> None:
    with world.disk("size=100m") as place:
        storage.reserve(place)
        full = world.fill(place)
        storage.relieve(place)
        (place / "written").write_bytes(bytes(storage.RESERVE // 2))
        storage.reserve(place)  # not now
        assert {path.name for path in place.iterdir()} == {full.name, "written"}
