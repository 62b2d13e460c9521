"""A setting is told once, in `devdb.config.table`; what else it needs is there, or a test fails."""

from __future__ import annotations

import re
import tomllib
from dataclasses import fields
from pathlib import Path

import pytest

from devdb import config, postgres
from devdb.config.file import TABLES
from devdb.config.table import SETTINGS, Setting
from devdb.model import Spec
from devdb.urls import presets

PACKAGE = Path(config.__file__).parents[1]

every_setting = pytest.mark.parametrize("setting", SETTINGS.values(), ids=list(SETTINGS))


def test_each_field_is_a_setting_or_a_table() -> None:
    assert {field.name for field in fields(config.Settings)} == {*SETTINGS, *TABLES, "sources"}


@every_setting
def test_a_setting_is_heard_wherever_it_is_said(setting: Setting, tmp_path: Path) -> None:
    (tmp_path / "devdb.toml").write_text(f"{setting.key} = {setting.example}")
    [value] = tomllib.loads(f"x = {setting.example}").values()
    for settings in (
        config.load(tmp_path, {}, {}),
        config.load(tmp_path, {}, {setting.variable: str(value)}),
        config.load(tmp_path, {setting.name: str(value)}, {}),
    ):
        assert getattr(settings, setting.name) == value
    assert settings.source(setting.name) == setting.option


@every_setting
def test_something_is_done_with_a_setting(setting: Setting) -> None:
    used = re.compile(rf"\b_?settings\.{setting.name}\b")
    assert any(used.search(path.read_text()) for path in PACKAGE.rglob("*.py"))


def test_the_defaults_that_are_shown_are_those_that_hold() -> None:
    shown = {setting.name: setting.default for setting in SETTINGS.values() if setting.default}
    [mode] = [field.default for field in fields(Spec) if field.name == "pool_mode"]
    assert shown == {
        "engine": config.Settings().engine,
        "pool_mode": mode,
        "max_connections": postgres.OWN_SETTINGS["max_connections"],
        "preset": presets.DEFAULT,
    }
