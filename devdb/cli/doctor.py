"""`devdb doctor`."""

from __future__ import annotations

import platform
import sys
from collections.abc import Sequence
from typing import Annotated

import typer

from devdb import __version__, paths
from devdb.cli import options
from devdb.cli.grammar import App
from devdb.cli.here import look_around
from devdb.cli.start import get
from devdb.engines.remedy import Remedy
from devdb.errors import DevdbError, ExitCode, NotFound, UsageError
from devdb.model import Finding, Level, Spec
from devdb.output import envelope, records, streams
from devdb.output.table import facts
from devdb.workspace import diagnosis, fix
from devdb.workspace.diagnosis import Diagnosis

app = App()

_COLOURS = {Level.ERROR: "red", Level.WARNING: "yellow", Level.INFO: "dim"}


_EXAMPLES = """\b
Examples:
  devdb doctor                 exit 0: all is well; 1: it is not
  devdb doctor --fix           get what is missing, or too old; asks first
  devdb doctor 'prepared statement "s0" already exists'
  devdb doctor - < error.log   explain the first known error in it
"""


@app.command(epilog=_EXAMPLES)
def doctor(
    words: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[TEXT]", help="Explain this error instead; - reads it.", show_default=False
        ),
    ] = None,
    name: options.Name = None,
    fix: Annotated[
        bool, typer.Option("--fix", help="Get what is missing, or too old; asks first.")
    ] = False,
    yes: Annotated[bool, typer.Option("-y", "--yes", help="With --fix: do not ask.")] = False,
    json: options.Json = False,
) -> int:
    """Say what is wrong here, and the command that mends it.

    And which engine a new instance gets, and why. With --fix: get what that engine lacks. On Debian
    and Ubuntu that goes into devdb's cache, takes no root, and changes nothing of the system;
    elsewhere it is the command that is shown.
    """
    if words and fix:
        raise UsageError("--fix and a text do not go together.", "devdb doctor --fix")
    if words:
        text = sys.stdin.read() if words == ["-"] else " ".join(words)
        return _explain(text, name, json=json)
    here = look_around(name)
    settings = here.settings
    diagnosed = diagnosis.diagnose(settings, here.directory)
    fixed: Sequence[str] = ()
    if fix and not diagnosed.remedies:
        streams.narrate("nothing is missing, or too old, that devdb can get here")
    elif fix:
        _consent(diagnosed.remedies, yes=yes, json=json)
        fixed = get(diagnosed.remedies)
        diagnosed = diagnosis.diagnose(settings, here.directory)
    if json:
        data = {
            "asked": settings.engine,
            "fixed": list(fixed),
            **records.diagnosis(diagnosed),
            "surroundings": _surroundings(),
        }
        streams.data(envelope.ok("doctor", data, success=diagnosed.healthy))
    else:
        _print(diagnosed)
    return ExitCode.OK if diagnosed.healthy else ExitCode.FAILURE


def _consent(remedies: Sequence[Remedy], *, yes: bool, json: bool) -> None:
    """Go on only after a yes; off a terminal nobody can say it."""
    again = "devdb doctor --fix --yes"
    lines = [*(each.why for each in remedies), fix.plan(remedies)]
    if yes or json or not streams.interactive():
        for line in lines:
            streams.narrate(line)
        if not yes:
            raise UsageError("This gets programs, and nobody can be asked here.", again)
    elif not streams.confirmed(lines, "Go on?"):
        raise DevdbError("Nothing was changed.", again)


def _explain(text: str, name: str | None, *, json: bool) -> int:
    found = diagnosis.explain(text, _meant(name))
    if found is None:
        raise NotFound(
            "devdb knows no cure for that error.", "devdb logs, or devdb doctor without a text"
        )
    if json:
        data = {"error": found.text, "cause": found.cause, "cure": found.cure}
        streams.data(envelope.ok("doctor", data))
    else:
        for line in facts([("error", found.text), ("why", found.cause), ("try", found.cure)]):
            streams.data(line)
    return ExitCode.OK


def _meant(name: str | None) -> Spec | None:
    """The instance whose error it would be; None where there is none, and nobody named one."""
    try:
        return look_around(name).instance()
    except DevdbError:
        if name is not None:
            raise
        return None


def _surroundings() -> dict[str, str]:
    """What a report of a problem has to say of the machine."""
    return {
        "devdb": __version__,
        "python": f"{platform.python_version()} at {sys.executable}",
        "system": platform.platform(),
        "data": str(paths.data_home()),
        "cache": str(paths.cache_home()),
    }


def _print(diagnosis: Diagnosis) -> None:
    for line in facts(list(_surroundings().items())):
        streams.data(line)
    chosen = streams.paint(diagnosis.engine or "none", "green" if diagnosis.engine else "red")
    streams.data(f"engine for a new instance: {chosen}")
    streams.data(f"  {diagnosis.reason}")
    pair = "{} and {}".format(*diagnosis.ports) if diagnosis.ports else "none is free"
    streams.data(f"ports for a new instance: {pair}")
    for engine, findings in diagnosis.engines:
        usable = all(finding.level != Level.ERROR for finding in findings)
        word = streams.paint("usable", "green") if usable else streams.paint("not usable", "yellow")
        streams.data(f"{engine}: {word}")
        _print_findings(findings)
    if diagnosis.instances:
        streams.data("instances:")
        _print_findings(diagnosis.instances)
    if diagnosis.remedies:
        streams.data("devdb doctor --fix gets, and asks first:")
        streams.data(f"  {fix.plan(diagnosis.remedies)}")


def _print_findings(findings: tuple[Finding, ...]) -> None:
    for finding in findings:
        level = streams.paint(f"{finding.level.value:<7}", _COLOURS[finding.level])
        streams.data(f"  {level}  {finding.subject}: {finding.message}")
        if finding.fix:
            streams.data(f"           try: {finding.fix}")
