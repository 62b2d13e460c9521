"""`devdb doctor`."""

from __future__ import annotations

from typing import Any

from devdb import workspace
from devdb.cli import options
from devdb.cli.here import look_around
from devdb.errors import ExitCode
from devdb.model import Finding, Level
from devdb.output import envelope, records, streams

app = options.new_app()

_COLOURS = {Level.ERROR: "red", Level.WARNING: "yellow", Level.INFO: "dim"}


@app.command()
def doctor(name: options.Name = None, json: options.Json = False) -> int:
    """Say which engine would be chosen and why, and what is wrong with the command that mends it.

    Exit 0: all is well; 1: it is not.
    """
    settings = look_around(name).settings
    diagnosis = workspace.diagnose(settings)
    if json:
        data = {"asked": settings.engine, **_record(diagnosis)}
        streams.data(envelope.ok("doctor", data, success=diagnosis.healthy))
    else:
        _say(diagnosis)
    return ExitCode.OK if diagnosis.healthy else ExitCode.FAILURE


def _say(diagnosis: workspace.Diagnosis) -> None:
    chosen = streams.paint(diagnosis.engine or "none", "green" if diagnosis.engine else "red")
    streams.data(f"engine for a new instance: {chosen}")
    streams.data(f"  {diagnosis.reason}")
    for engine, findings in diagnosis.engines:
        usable = all(finding.level != Level.ERROR for finding in findings)
        word = streams.paint("usable", "green") if usable else streams.paint("not usable", "yellow")
        streams.data(f"{engine}: {word}")
        _list(findings)
    if diagnosis.instances:
        streams.data("instances:")
        _list(diagnosis.instances)


def _list(findings: tuple[Finding, ...]) -> None:
    for finding in findings:
        level = streams.paint(f"{finding.level.value:<7}", _COLOURS[finding.level])
        streams.data(f"  {level}  {finding.subject}: {finding.message}")
        if finding.fix:
            streams.data(f"           try: {finding.fix}")


def _record(diagnosis: workspace.Diagnosis) -> dict[str, Any]:
    return {
        "engine": diagnosis.engine,
        "reason": diagnosis.reason,
        "healthy": diagnosis.healthy,
        "engines": {
            name: {
                "usable": all(finding.level != Level.ERROR for finding in findings),
                "findings": [records.finding(finding) for finding in findings],
            }
            for name, findings in diagnosis.engines
        },
        "instances": [records.finding(finding) for finding in diagnosis.instances],
    }
