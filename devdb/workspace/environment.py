"""`env`: which variables a project reads, and what they are to be."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from devdb.config import Settings
from devdb.model import USER, Endpoint
from devdb.urls import presets
from devdb.urls.detection import detect
from devdb.urls.presets import Goes, Preset
from devdb.urls.spelling import Spelling


@dataclass(frozen=True, slots=True, kw_only=True)
class Variables:
    """The variables of an instance, spelled for whoever reads them in the project."""

    preset: Preset
    spellings: dict[str, Spelling]
    saw: tuple[str, ...] | None = None
    """With the preset `auto`: the files it was concluded from; empty: from none."""

    @property
    def values(self) -> dict[str, str]:
        """The text of each variable."""
        return {name: spelling.text for name, spelling in self.spellings.items()}

    @property
    def notes(self) -> tuple[str, ...]:
        """What has to be done beside the variables, each thing once."""
        found = [note for spelling in self.spellings.values() for note in spelling.notes]
        return tuple(dict.fromkeys([*found, *([self.preset.note] if self.preset.note else [])]))


def variables(direct: Endpoint, pooled: Endpoint, settings: Settings, project: Path) -> Variables:
    """By the preset of the settings (`auto`: what the project's files ask for), else `plain`.

    Raises UsageError for an unknown preset or client.
    """
    name, client = settings.preset or presets.DEFAULT, settings.client
    saw: tuple[str, ...] | None = None
    if name == presets.AUTO:
        found = detect(project)
        name, client, saw = found.preset, client or found.client, found.saw
    preset = presets.preset(name)
    spellings = presets.variables(preset, direct=direct, pooled=pooled, client=client)
    if direct.user != USER:  # the role of a temporary database reaches no other, so no shadow
        shadow = {key for key, goes in preset.variables if goes == Goes.SHADOW}
        spellings = {key: value for key, value in spellings.items() if key not in shadow}
    return Variables(preset=preset, spellings=spellings, saw=saw)
