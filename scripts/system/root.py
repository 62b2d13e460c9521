"""A Debian with nothing of ours in it, in a directory, and what runs in there.

All of that ends with the command it was entered for: it is in namespaces of processes and mounts of
its own. The network is the machine's: there is no other way to the package index.
"""

from __future__ import annotations

from pathlib import Path

from system import base, reach
from system.shell import CACHE, run, say

STRANGER = "stranger"
"""The ordinary user in there: no sudo, nothing in the home but what Debian puts there."""

PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

ENTER = """
set -e
root=$1 places=$2
shift 2
mount -t proc proc "$root/proc"
mount -t sysfs -o ro sysfs "$root/sys"
mount --bind /dev/pts "$root/dev/pts"
mount -t tmpfs -o mode=1777 tmpfs "$root/dev/shm"
while read -r place; do
    [[ -n $place && ! -e $root$place ]] || continue
    if [[ -d $place ]]; then
        mkdir -p "$root$place"
    else
        mkdir -p "$root${place%/*}"
        touch "$root$place"
    fi
    mount --bind -o ro "$place" "$root$place"
done <<<"$places"
set +e
# A child and not this process itself, which buries what is orphaned in there.
chroot "$root" "$@"
exit
"""

PREPARE = f"""
set -e
export DEBIAN_FRONTEND=noninteractive
apt-get update -qq
apt-get install -qq --yes --no-install-recommends ca-certificates "$@"
update-ca-certificates
apt-get clean
useradd --create-home --shell /bin/bash {STRANGER}
"""


def prepare(suite: str, packages: tuple[str, ...]) -> Path:
    """The archive of a base system with these packages and an ordinary user, made if there is none.

    Raises CommandFailed.
    """
    system, sources = base.of(suite), reach.apt_sources(suite)
    key = base.digest(system.key, sources, PREPARE, *packages, *reach.certificates())
    kind = f"{suite}-with-{'-'.join(packages)}"
    archive = CACHE / f"{kind}.{key}.tar"
    if archive.exists():
        return archive
    if not system.archive.exists():
        base.need_debootstrap(may_install=True)
        base.make(system)
    say(f"{suite}: installing {' '.join(packages)}")
    with base.scratch() as directory:
        root = directory / "root"
        unpack(system.archive, root)
        (root / "etc/apt/sources.list").write_text(sources)
        run(*entered(root, "bash", "-c", PREPARE, "prepare", *packages))
        (root / base.SMALL).unlink()  # what a stranger's Debian has not
        base.pack(root, archive, without=())
    for other in set(CACHE.glob(f"{kind}.*.tar")) - {archive}:
        other.unlink()  # of another day's mirror or settings
    return archive


def unpack(archive: Path, root: Path) -> None:
    """A root as it was kept, and this machine's ways to mirrors and indexes."""
    root.mkdir()
    run("tar", "-xpf", archive, "--numeric-owner", "-C", root)
    reach.carry(root)


def entered(root: Path, *argv: str) -> list[str]:
    """The command as root of that Debian. Its standard streams are those of who runs it."""
    values = {**reach.pip_settings(), **reach.environment()}.values()
    places = "\n".join(map(str, reach.places(values)))
    namespaces = ("unshare", "--mount", "--pid", "--ipc", "--fork", "--kill-child")
    return [
        *("env", "-i", "TERM=xterm-256color", f"PATH={PATH}", *namespaces),
        *("bash", "-c", ENTER, "enter", str(root), places, *argv),
    ]
