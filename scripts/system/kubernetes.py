"""Kubernetes' programs, built once from Debian's source package and kept in the user's cache.

Debian has the whole source, and of the programs kubectl alone. 1.20 is the one whose kubelet speaks
to Docker itself, so that the images of this machine do as they are.
"""

from __future__ import annotations

import os
import shutil
import time
from pathlib import Path

from system import base, debian
from system.debian import KEYRINGS
from system.shell import CACHE, CommandFailed, run, say

from devdb.engines.native.installing import apt

SUITE = "bookworm"
"""The last Debian that has it."""
VERSION = "1.20.2"
PLACE = CACHE / f"kubernetes-{VERSION}-2"
"""What it is kept in; the number at its end goes up when what is built changes."""
BIN = PLACE / "bin"
PROGRAMS = ("kube-apiserver", "kube-controller-manager", "kube-scheduler", "kubelet", "kubectl")
UNPACKED = ("golang-1.19-go", "golang-1.19-src", REFLECT := "golang-github-modern-go-reflect2-dev")
ETCD = "etcd-server"
INSTALLED = ("dpkg-dev", "rsync")
CHANGES = (
    # What it makes for a claim is root's alone, and a pod's own user is to write there.
    ("volume/hostpath/host_path.go", "os.MkdirAll(pv.Spec.HostPath.Path, 0750)", "0750", "0777"),
    # That a pod has gone is told, and looked for, when it is their turn; by later ones at once.
    ("kubelet/status/status_manager.go", "syncPeriod = 10 * time.Second", "10", "1"),
    ("kubelet/kubelet.go", "ContainerGCPeriod = time.Minute", "Minute", "Second"),
)
"""What is changed in its source: file, text, and what in that becomes what."""

PAUSE = """
package main

import (
	"os"
	"os/signal"
	"syscall"
)

func main() {
	signals := make(chan os.Signal, 16)
	signal.Notify(signals, syscall.SIGTERM, syscall.SIGINT, syscall.SIGCHLD)
	for each := range signals {
		if each != syscall.SIGCHLD {
			return
		}
		for pid := 1; pid > 0; pid, _ = syscall.Wait4(-1, nil, syscall.WNOHANG, nil) {
		}
	}
}
"""
"""What holds a pod's namespaces: it waits, and buries what is orphaned in there."""


def is_built() -> bool:
    return BIN.is_dir()


def build() -> None:
    """Build what is not there yet; takes minutes. Raises CommandFailed."""
    if is_built():
        return
    if not debian.here() or debian.as_root() != []:
        raise CommandFailed("Kubernetes is built from Debian's packages, which takes root.")
    started = time.monotonic()
    say(f"Building Kubernetes {VERSION} from Debian's source package, once; it takes minutes")
    debian.install(*INSTALLED)
    with base.scratch() as directory:
        root, source = _fetch(directory)
        staging = directory / "kept"
        (staging / "bin").mkdir(parents=True)
        shutil.copy(root / "usr/bin/etcd", staging / "bin")
        _compile(source, go=root / "usr/lib/go-1.19", to=staging / "bin")
        staging.rename(PLACE)
    say(f"Kubernetes: built in {time.monotonic() - started:.0f} s")


def _fetch(directory: Path) -> tuple[Path, Path]:
    """The compiler and etcd, unpacked, and the source of Kubernetes; all of them checked by apt."""
    mirror = base.debian_mirror()
    source = f"[signed-by={KEYRINGS['Debian']}] {mirror} {SUITE} main\n"
    options = apt.scratch(directory, sources=f"deb {source}deb-src {source}")
    run("apt-get", *options, "update", "-qq", "--error-on=any")
    debian.told(apt.unpack([*UNPACKED, ETCD], directory, options))
    (version,) = debian.told(apt.source_versions("kubernetes", options))
    if VERSION not in version:
        raise CommandFailed(f"{SUITE} has Kubernetes {version}, and {VERSION} is what is known")
    debian.told(apt.source("kubernetes", version, directory, options))
    (description,) = directory.glob("kubernetes_*.dsc")
    run("dpkg-source", "--no-check", "--extract", description, directory / "source")
    return directory / "root", directory / "source"


def _compile(source: Path, *, go: Path, to: Path) -> None:
    # Its copy of reflect2, 1.0.1, has the API server crash where Go is 1.18 or newer.
    place = source / "vendor/github.com/modern-go/reflect2"
    shutil.rmtree(place)
    newer = go.parents[1] / "share/gocode/src/github.com/modern-go/reflect2"
    shutil.copytree(newer, place)
    for name, text, old, new in CHANGES:
        file = source / "pkg" / name
        if text not in file.read_text():
            raise CommandFailed(f"{name} of Kubernetes does not have `{text}`")
        file.write_text(file.read_text().replace(text, text.replace(old, new)))
    major, minor, _ = VERSION.split(".")
    told = {"Version": f"v{VERSION}", "Major": major, "Minor": minor}
    facts = source / "version"
    facts.write_text(
        "KUBE_GIT_COMMIT=debian\nKUBE_GIT_TREE_STATE=archive\n"
        + "".join(f"KUBE_GIT_{name.upper()}={value}\n" for name, value in told.items())
    )
    output = source / "_output/local/go"
    env = {
        "PATH": f"{go}/bin:{os.environ['PATH']}",
        "HOME": str(source),
        "GOROOT": str(go),
        "GO111MODULE": "off",
        "GOFLAGS": "",
        "CGO_ENABLED": "0",
        "KUBE_GIT_VERSION_FILE": str(facts),
    }
    run("make", "generated_files", cwd=source, env=env)
    env |= {"GOPATH": str(output), "GOCACHE": str(output / "cache")}
    tree = output / "src/k8s.io/kubernetes"
    flags = "-s -w"
    for module in ("component-base", "client-go/pkg"):
        at = f"k8s.io/kubernetes/vendor/k8s.io/{module}/version.git"
        flags += "".join(f" -X {at}{name}={value}" for name, value in told.items())
    packages = [f"k8s.io/kubernetes/cmd/{each}" for each in PROGRAMS]
    tags = "selinux,notest,providerless"  # no cloud's own code, which is most of it
    run(
        "go",
        "build",
        "-ldflags",
        flags,
        "-tags",
        tags,
        "-o",
        f"{to}/",
        *packages,
        cwd=tree,
        env=env,
    )
    (source / "pause.go").write_text(PAUSE)
    run("go", "build", "-ldflags=-s -w", "-o", to / "pause", source / "pause.go", env=env)
