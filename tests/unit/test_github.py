"""What GitHub reads of `.github/`, as far as it can be held to anything without GitHub."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[2]
FILES = sorted((ROOT / ".github").rglob("*.yml"))
WORKFLOWS = [path for path in FILES if path.parent.name == "workflows"]
FORMS = [path for path in FILES if path.parent.name == "ISSUE_TEMPLATE" and path.stem != "config"]

BUG = ROOT / ".github" / "ISSUE_TEMPLATE" / "bug.yml"


def read(path: Path) -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load(path.read_text())
    return found


def steps(path: Path) -> list[dict[str, Any]]:
    return [step for job in read(path)["jobs"].values() for step in job["steps"]]


def commands(path: Path) -> list[str]:
    return [step["run"] for step in steps(path) if "run" in step]


def name(path: Path) -> str:
    return path.name


@pytest.mark.parametrize("path", FILES, ids=name)
def test_each_file_is_yaml(path: Path) -> None:
    assert read(path)


@pytest.mark.parametrize("path", WORKFLOWS, ids=name)
def test_a_workflow_may_read_and_no_more_but_to_publish(path: Path) -> None:
    workflow = read(path)
    given = [
        workflow["permissions"],
        *(j.get("permissions", {}) for j in workflow["jobs"].values()),
    ]
    wider = [each for each in given if each not in ({}, {"contents": "read"})]
    assert wider == ([{"id-token": "write"}] if path.stem == "release" else [])
    assert all(job["timeout-minutes"] <= 90 for job in workflow["jobs"].values())
    assert "secrets." not in path.read_text()


@pytest.mark.parametrize("path", WORKFLOWS, ids=name)
def test_an_action_is_held_to_its_major_version(path: Path) -> None:
    used = [step["uses"] for step in steps(path) if "uses" in step]
    assert used
    assert [each for each in used if not re.fullmatch(r"[\w/-]+@(v\d+|release/v\d+)", each)] == []


@pytest.mark.parametrize("path", WORKFLOWS, ids=name)
def test_a_step_is_a_program_of_the_repository_or_one_line_that_bash_takes(path: Path) -> None:
    for command in commands(path):
        assert "\n" not in command
        assert "${{" not in command, "what somebody else wrote would be put into a shell"
        checker = Path(sys.executable).with_name("shellcheck")
        subprocess.run([checker, "--shell=bash", "-"], input=command, text=True, check=True)
        for program in re.findall(r"(?:scripts|\.ci)/[\w-]+", command):
            assert os.access(ROOT / program, os.X_OK), program


def test_ci_is_what_a_person_runs() -> None:
    assert commands(ROOT / ".github" / "workflows" / "ci.yml") == [".ci/run"]


@pytest.mark.parametrize("path", FORMS, ids=name)
def test_a_form_has_what_a_form_must_have(path: Path) -> None:
    form = read(path)
    assert {"name", "description", "body"} <= form.keys()
    fields = [each for each in form["body"] if each["type"] != "markdown"]
    assert {each["type"] for each in fields} <= {"textarea", "input", "dropdown", "checkboxes"}
    assert len({each["id"] for each in fields}) == len(fields)
    assert len({each["attributes"]["label"] for each in fields}) == len(fields)


def test_the_form_for_a_bug_asks_for_the_doctor_and_to_look_through_it() -> None:
    fields = {each.get("id"): each for each in read(BUG)["body"]}
    doctor = fields["doctor"]
    assert doctor["validations"]["required"]
    assert "devdb doctor --json" in doctor["attributes"]["label"]
    assert "passwords" in doctor["attributes"]["description"]
