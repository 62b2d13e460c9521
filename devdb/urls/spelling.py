"""An endpoint as one client reads it, by that client's row in `devdb.urls.clients`."""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass, replace
from urllib.parse import quote

from devdb.errors import UsageError
from devdb.model import HOST, Endpoint
from devdb.urls import address, authority, encoded
from devdb.urls.clients import CA, Client, Form, Tls, client


@dataclass(frozen=True, slots=True)
class Spelling:
    """What a client reads, and what has to be done beside it."""

    text: str
    notes: tuple[str, ...] = ()


def spell(name: str, endpoint: Endpoint, *, pooled: bool = False, tls: Tls | None = None) -> str:
    """The endpoint as that client reads it; `spelling` has the notes too."""
    return spelling(name, endpoint, pooled=pooled, tls=tls).text


def spelling(
    name: str, endpoint: Endpoint, *, pooled: bool = False, tls: Tls | None = None
) -> Spelling:
    """The endpoint as that client reads it, and what has to be done beside it.

    Raises UsageError for an unknown client, and for a database name that the client's URLs have no
    room for.
    """
    row = client(name)
    if row.host and endpoint.host == HOST:
        endpoint = replace(endpoint, host=row.host)
    untracked = pooled and not endpoint.tracked
    parameters = [*(row.pooled if pooled else ()), *(row.untracked if untracked else ())]
    notes = [row.untracked_more] if untracked and row.untracked_more else []
    if tls is not None and row.no_tls:
        notes.append(row.no_tls)
    elif tls is not None:
        ca = str(tls.ca or "")
        chosen = row.verify if tls.ca else row.require
        parameters += [(key, value.replace(CA, ca)) for key, value in chosen]
        notes += (
            [row.verify_more.replace(CA, shlex.quote(ca))] if tls.ca and row.verify_more else []
        )
    if row.form == Form.KEYWORDS:
        return Spelling(_keywords(endpoint, parameters), tuple(notes))
    if row.form == Form.DJANGO:
        return Spelling(_django(endpoint, parameters, pooled=pooled), tuple(notes))
    if row.form == Form.JDBC:
        return Spelling(_jdbc(row, endpoint, parameters), tuple(notes))
    return Spelling(_url(row, endpoint, parameters), tuple(notes))


def _url(row: Client, endpoint: Endpoint, parameters: list[tuple[str, str]]) -> str:
    path = encoded(endpoint.database)
    if path != endpoint.database or path in (".", ".."):
        if row.database_parameter:
            parameters, path = [(row.database_parameter, endpoint.database), *parameters], ""
        elif row.decode_uri:
            path = _node_path(row.name, endpoint.database)
    return f"{row.scheme}://{authority(endpoint)}/{path}{_query(parameters)}"


def _node_path(name: str, database: str) -> str:
    if re.search(r"[?#]|(^|/)\.{1,2}(/|$)", database):
        raise UsageError(
            f"A URL for {name} has no way to name the database '{database}'.",
            "Give it as an option beside the URL: { connectionString, database }.",
        )
    return quote(database, safe="/:@&=+$,;")


def _jdbc(row: Client, endpoint: Endpoint, parameters: list[tuple[str, str]]) -> str:
    login = [("user", endpoint.user), ("password", endpoint.password)]
    base = f"{row.scheme}://{address(endpoint)}/{encoded(endpoint.database)}"
    return base + _query([*login, *parameters])


def _query(parameters: list[tuple[str, str]]) -> str:
    text = "&".join(f"{key}={quote(value, safe='/')}" for key, value in parameters)
    return f"?{text}" if text else ""


def _keywords(endpoint: Endpoint, parameters: list[tuple[str, str]]) -> str:
    """As .NET's DbConnectionStringBuilder reads it: `"` around what is special, doubled inside."""
    values = [
        ("Host", endpoint.host),
        ("Port", str(endpoint.port)),
        ("Username", endpoint.user),
        ("Password", endpoint.password),
        ("Database", endpoint.database),
        *parameters,
    ]
    return ";".join(f"{key}={_keyword_value(value)}" for key, value in values)


def _keyword_value(value: str) -> str:
    if re.fullmatch(r"[^\s;='\"\x00-\x1f]+( [^\s;='\"\x00-\x1f]+)*", value):
        return value
    doubled = value.replace('"', '""')
    return f'"{doubled}"'


def _django(endpoint: Endpoint, parameters: list[tuple[str, str]], *, pooled: bool) -> str:
    lines = [
        "DATABASES = {",
        '    "default": {',
        '        "ENGINE": "django.db.backends.postgresql",',
        f'        "NAME": {endpoint.database!r},',
        f'        "USER": {endpoint.user!r},',
        f'        "PASSWORD": {endpoint.password!r},',
        f'        "HOST": {endpoint.host!r},',
        f'        "PORT": {endpoint.port},',
    ]
    if pooled:
        lines.append('        "DISABLE_SERVER_SIDE_CURSORS": True,')
    if parameters:
        lines.append(f'        "OPTIONS": {dict(parameters)!r},')
    return "\n".join([*lines, "    }", "}"])
