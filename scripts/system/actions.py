"""A composite action, taken as GitHub's runner takes it: its `run` steps, in order, in a shell."""

from __future__ import annotations

import re
import shlex
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml
from system.shell import CommandFailed
from system.terminal import Said, Terminal

BASH = "bash --noprofile --norc -eo pipefail"
"""What `shell: bash` stands for; then the file of the step."""
FILES = ("GITHUB_OUTPUT", "GITHUB_ENV", "GITHUB_PATH")
"""The variables with the files that a step writes to, anew for each step."""


@dataclass
class Runner:
    """One job, whose directory the terminal's shell is in."""

    terminal: Terminal
    action: Path
    """The checkout of the action, as that shell sees it."""
    temp: Path
    """A directory of the job's user, as that shell sees it."""
    root: Path = Path("/")
    """Where the shell's root is for who reads this."""
    path: str = "/usr/local/bin:/usr/bin:/bin"
    env: dict[str, str] = field(default_factory=dict)
    """What the steps so far gave to those that follow, and whoever made this."""
    outputs: dict[str, dict[str, str]] = field(default_factory=dict)
    """What each step gave, by its id."""
    said: list[Said] = field(default_factory=list)
    """What each step said."""
    used: list[str] = field(default_factory=list)
    """The other actions that it would have taken in between."""

    def take(self, **inputs: str) -> dict[str, str]:
        """Take the action; returns its outputs. Raises CommandFailed for a step that fails."""
        told = yaml.safe_load(self._outside(self.action / "action.yml").read_text())
        defaults = {name: each.get("default", "") for name, each in told["inputs"].items()}
        assert inputs.keys() <= defaults.keys()
        values = {f"inputs.{name}": value for name, value in {**defaults, **inputs}.items()}
        for step in told["runs"]["steps"]:
            if "uses" in step:
                self.used.append(step["uses"])
                for text in step.get("with", {}).values():
                    self._filled(text, values)  # of outputs that are there
            else:
                values |= self._run(step, values)
        return {name: self._filled(each["value"], values) for name, each in told["outputs"].items()}

    def _run(self, step: Mapping[str, Any], values: Mapping[str, str]) -> dict[str, str]:
        assert step["shell"] == "bash"
        script = self.temp / "step.sh"
        self._write(script, self._filled(step["run"], values))
        for name in FILES:
            self._write(self.temp / name, "")
        variables = {
            "PATH": self.path,
            "CI": "true",
            "GITHUB_ACTIONS": "true",
            "GITHUB_ACTION_PATH": str(self.action),
            "RUNNER_TEMP": str(self.temp),
            "RUNNER_OS": "Linux",
            **{name: str(self.temp / name) for name in FILES},
            **self.env,
            **{name: self._filled(text, values) for name, text in step.get("env", {}).items()},
        }
        words = [f"{name}={value}" for name, value in variables.items()]
        line = f"env {shlex.join(words)} {BASH} {shlex.quote(str(script))} </dev/null 2>&1 | cat"
        said = self.terminal.ask(f"(set -o pipefail; {line})", patience=900)
        self.said.append(said)
        if said.code != 0:
            raise CommandFailed(f"the step `{step['run']}` ended with {said.code}:\n{said.text}")
        self.env |= self._pairs("GITHUB_ENV")
        for place in self._lines("GITHUB_PATH"):
            self.path = f"{place}:{self.path}"
        found = self._pairs("GITHUB_OUTPUT")
        self.outputs[step.get("id", "")] = found
        return {f"steps.{step.get('id')}.outputs.{name}": text for name, text in found.items()}

    def _filled(self, text: str, values: Mapping[str, str]) -> str:
        """With what its expressions stand for; KeyError for one that stands for nothing."""
        return re.sub(r"\$\{\{ *(.+?) *\}\}", lambda found: values[found[1]], text)

    def _pairs(self, variable: str) -> dict[str, str]:
        return dict(line.split("=", 1) for line in self._lines(variable))

    def _lines(self, variable: str) -> Iterator[str]:
        yield from self._outside(self.temp / variable).read_text().splitlines()

    def _write(self, path: Path, text: str) -> None:
        """As the job's user, whose directory it is."""
        outside = self._outside(path)
        outside.write_text(text)
        shutil.chown(outside, outside.parent.stat().st_uid)

    def _outside(self, path: Path) -> Path:
        return self.root / path.relative_to("/")
