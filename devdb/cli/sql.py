"""`devdb sql`."""

from __future__ import annotations

from contextlib import closing
from typing import Annotated

import typer

from devdb.cli import options
from devdb.cli.grammar import App
from devdb.cli.here import look_around
from devdb.cli.signals import Closing
from devdb.errors import ExitCode, UsageError
from devdb.model import DATABASE
from devdb.output import envelope, streams
from devdb.output.results import Lines, Objects, Reader, Tables
from devdb.workspace import sql as running
from devdb.workspace.sql import STDIN, Script

app = App()

_EXAMPLES = """\b
Examples:
  devdb sql -f shop.sql               a file; - is stdin
  devdb sql 'select * from customers'
  devdb sql --json 'select 1 as one'  for programs: types, exact numbers
  devdb sql -d temp_calm_owl 'select 1'
"""


@app.command(epilog=_EXAMPLES)
def sql(
    statements: Annotated[
        list[str] | None,
        typer.Argument(metavar="[STATEMENT]", help="In quotes; - is stdin.", show_default=False),
    ] = None,
    name: options.Name = None,
    file: Annotated[
        str | None,
        typer.Option(
            "-f", "--file", metavar="FILE", help="Run this file; - is stdin.", show_default=False
        ),
    ] = None,
    database: Annotated[
        str | None,
        typer.Option(
            "-d",
            "--database",
            metavar="DB",
            help=f"In this database of the instance.  [{DATABASE}]",
            autocompletion=options.databases,
            show_default=False,
        ),
    ] = None,
    pooled: Annotated[bool, typer.Option("--pooled", help="Through PgBouncer.")] = False,
    command: Annotated[
        str | None, typer.Option("-c", "--command", metavar="STATEMENT", hidden=True)
    ] = None,
    *,
    json: options.Json = False,
) -> int:
    """Run SQL and print its rows; exit 0 when it worked.

    On a terminal as a table. Elsewhere as lines without a heading: values as they are, tabs
    between them, NULL is empty. With --json numbers are exact, NULL is null, and what has a name
    that was there before gets a number behind it. Several statements are one transaction: all of
    them or none. It is done as the superuser, and starts the instance if it is stopped.
    """
    script = _script([*(statements or ()), *((command,) if command is not None else ())], file)
    here = look_around(name)
    spec = here.instance()
    objects = Objects() if json else None
    reader: Reader = objects or (Tables() if streams.on_terminal() else Lines())
    with (
        Closing(),
        running.opened(spec, database, pooled=pooled, bring_up=here.bring_up) as client,
    ):
        is_empty = True
        with closing(client.run(script)) as answer:
            for told in answer:
                is_empty = is_empty and told == running.Done("")
                reader.take(told)
        is_open = client.is_in_transaction
        if objects is not None:
            where = {"name": spec.name, "database": database or DATABASE, "pooled": pooled}
            found = {**where, "results": objects.results(client.type_names)}
            streams.data(envelope.ok("sql", found))
    if is_empty:
        streams.narrate("note: there was no statement to run")
    if is_open:
        streams.narrate("warning: nothing was kept: there is a BEGIN, and no COMMIT after it")
    return ExitCode.OK


def _script(statements: list[str], file: str | None) -> Script:
    """What is to be run; raises UsageError where that is nothing, or more than one thing."""
    if len(statements) + (file is not None) > 1:
        raise UsageError(
            "devdb sql takes one thing: a statement in quotes, or a file.",
            "devdb sql 'select 1; select 2'; devdb sql -f FILE",
        )
    if file is not None or statements == [STDIN]:
        return running.read(STDIN if file is None else file)
    if not statements:
        raise UsageError(
            "devdb sql wants a statement.", "devdb sql 'select 1'; devdb sql -f FILE; stdin: -"
        )
    return running.typed(statements[0])
