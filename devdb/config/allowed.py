"""Which settings of Postgres a user may give an instance, and why not the others."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from devdb.config.file import FILE
from devdb.errors import UsageError
from devdb.model import HOST


@dataclass(frozen=True, slots=True)
class _Owned:
    """Settings that devdb sets itself, and what it sets them for."""

    names: str
    """A regular expression."""
    reason: str
    instead: str
    unless: str = ""
    """The value, as a regular expression, that changes nothing devdb relies on."""


_TLS = "it makes the certificates of an instance"
_ASK_FOR_TLS = "Ask for TLS with devdb url --tls; ssl = false turns it off."
_OWNED = (
    _Owned(
        "hba_file|ident_file|db_user_namespace",
        "it decides who gets in where",
        "Give and take rights with SQL: CREATE ROLE, GRANT, ALTER ROLE.",
    ),
    _Owned(
        "password_encryption",
        "nobody gets in but by scram-sha-256",
        "Passwords are what they are set to, with SQL.",
        unless="scram-sha-256",
    ),
    _Owned("port", "both URLs have ports for good", "Choose it: devdb up --port N"),
    _Owned(
        r"listen_addresses|unix_socket_\w+",
        f"it listens on {HOST} alone, and both servers find each other",
        "Both URLs: devdb url, devdb url --pooled",
    ),
    _Owned(
        "data_directory|config_file",
        "it knows where an instance's data and configuration are",
        "All data lives below DEVDB_DATA_DIR, or in a volume of Docker's.",
    ),
    _Owned("ssl", _TLS, _ASK_FOR_TLS, unless="off|false|no|0"),
    _Owned(r"ssl_\w+", _TLS, _ASK_FOR_TLS),
    _Owned(
        "logging_collector",
        "it reads what the servers write to stderr",
        "See it all: devdb logs -f",
        unless="off|false|no|0",
    ),
    _Owned(
        "log_destination",
        "it reads what the servers write to stderr",
        "See it all: devdb logs -f; log_line_prefix says what is before each line.",
        unless="stderr",
    ),
    _Owned(
        "include|include_if_exists|include_dir",
        "it names a file and is no setting",
        "Write what that file has in it below [postgres].",
    ),
)

_NAME = re.compile(r"[a-z_][a-z0-9_$]*(?:\.[a-z_][a-z0-9_$]*)*")
_REACHES_OUT = re.compile(
    # What is run, loaded, read or written, by the last word of its name ...
    r".*(?:command|librar(?:y|ies)|provider|path|director(?:y|ies)|dir|(?<!pro)file)"
    # ... and the languages that run a text of it, or load what it names, when they are loaded.
    r"|pl(?:perlu?|tclu?|python\d?u?|java|v8|r|sh|lua|php|ruby|rust|dotnet)\..*"
)
_HARMLESS = ("search_path",)
_LIBRARIES = re.compile(r".*(?:librar(?:y|ies)|provider)")
_LIBRARY = re.compile(r"(?:\$libdir/(?:plugins/)?)?[A-Za-z0-9_-]+(?:\.(?:so|dylib|dll))?")


def check(settings: Iterable[tuple[str, str]], *, contained: bool) -> None:
    """Raise UsageError for the first setting that devdb must own, or that may not be given here.

    `contained`: the server runs in a container, where what a setting names is the container's.
    Elsewhere a repository's file would have commands run, and files read, as whoever starts it.
    """
    for given, value in settings:
        name = given.lower()  # as Postgres compares them
        if not _NAME.fullmatch(name):
            raise UsageError(
                f"'{given}' is no name of a Postgres setting.",
                "Names are those of postgresql.conf, e.g. work_mem.",
            )
        if "\0" in value:
            raise UsageError(f"[postgres] {name} has a NUL in it.", "No setting can have one.")
        _refuse_owned(name, value)
        if not contained:
            _refuse_reaching_out(name, value)


def _refuse_owned(name: str, value: str) -> None:
    for owned in _OWNED:
        if re.fullmatch(owned.names, name) and not (
            owned.unless and re.fullmatch(owned.unless, value.strip().lower())
        ):
            raise UsageError(
                f"[postgres] {name} is devdb's own: {owned.reason}.",
                f"Take it out of {FILE}. {owned.instead}",
            )


def _refuse_reaching_out(name: str, value: str) -> None:
    if not value.strip() or name in _HARMLESS or not _REACHES_OUT.fullmatch(name):
        return
    if _LIBRARIES.fullmatch(name):
        named = [word.strip().strip('"') for word in value.split(",")]
        if all(_LIBRARY.fullmatch(word) for word in named):
            return
        what = "load a library by its path"
    else:
        what = "run a command, or read or write files"
    raise UsageError(
        f"[postgres] {name} may {what} on this machine: without Docker no {FILE} sets it.",
        "Use Docker (devdb up --engine docker), or set it yourself in psql: "
        f"ALTER SYSTEM SET {name} = ...",
    )
