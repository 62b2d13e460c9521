"""Which Postgres settings a devdb.toml may have, on which engine."""

from __future__ import annotations

import csv
import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from devdb import config, postgres
from devdb.config import allowed
from devdb.engines.native import binaries
from devdb.errors import DevdbError, UsageError

OWNED = {
    "hba_file": "/tmp/hba",
    "ident_file": "/tmp/ident",
    "data_directory": "/tmp",
    "config_file": "/tmp/conf",
    "listen_addresses": "*",
    "port": "5433",
    "unix_socket_directories": "/tmp",
    "unix_socket_permissions": "0000",
    "unix_socket_group": "wheel",
    "ssl": "on",
    "ssl_cert_file": "x",
    "ssl_key_file": "x",
    "ssl_ca_file": "x",
    "ssl_crl_file": "x",
    "ssl_crl_dir": "x",
    "ssl_ciphers": "NULL",
    "ssl_passphrase_command": "touch /tmp/x",
    "password_encryption": "md5",
    "db_user_namespace": "on",
    "logging_collector": "on",
    "log_destination": "syslog",
    "include": "/etc/passwd",
    "include_if_exists": "/etc/passwd",
    "include_dir": "/etc",
}
REACHING_OUT = {
    "archive_command": "touch /tmp/x",
    "restore_command": "touch /tmp/x",
    "archive_cleanup_command": "touch /tmp/x",
    "recovery_end_command": "touch /tmp/x",
    "archive_library": "/tmp/x",
    "shared_preload_libraries": "pg_stat_statements, /tmp/x.so",
    "session_preload_libraries": "../x",
    "local_preload_libraries": "$libdir/../../x",
    "oauth_validator_libraries": "./x",
    "jit_provider": "/tmp/x",
    "dynamic_library_path": "/tmp",
    "extension_control_path": "/tmp",
    "log_directory": "/tmp",
    "stats_temp_directory": "/tmp",
    "external_pid_file": "/tmp/x",
    "krb_server_keyfile": "/tmp/x",
    "promote_trigger_file": "/tmp/x",
    "basebackup_to_shell.command": "touch /tmp/x",
    "basic_archive.archive_directory": "/tmp",
    "plperl.on_init": "system('touch /tmp/x')",
    "pljava.libjvm_location": "/tmp/x",
}
HARMLESS = {
    "work_mem": "64MB",
    "search_path": "app, public",
    "shared_preload_libraries": 'pg_stat_statements, "auto_explain", $libdir/plugins/x, y.so',
    "jit_provider": "llvmjit",
    "archive_command": "",
    "password_encryption": "SCRAM-SHA-256",
    "ssl": "off",
    "logging_collector": "off",
    "log_destination": "stderr",
    "log_filename": "x",
    "port_of_call.name": "x",
    "app.profile": "x",
    "plpgsql.extra_warnings": "all",
    "default_transaction_read_only": "on",
}
KINDS = ("file", "director", "_dir", "command", "librar", "path", "program", "shell", "provider")
UNTOUCHED = {
    "search_path",  # schemas
    "log_filename",  # of a collector that is off
    "syslog_ident",  # of a destination that is not used
    "temp_tablespaces",  # what CREATE TABLESPACE has made
    "timezone_abbreviations",  # letters only, in Postgres' own directory
}
"""Texts whose names or descriptions speak of those kinds, and which reach nothing."""


@pytest.mark.parametrize("contained", [False, True])
@pytest.mark.parametrize("name", OWNED)
def test_what_devdb_must_own_is_refused_by_name(name: str, contained: bool) -> None:
    for spelled in (name, name.upper()):
        with pytest.raises(UsageError) as caught:
            allowed.check([(spelled, OWNED[name])], contained=contained)
        assert name in caught.value.message
        assert "devdb.toml" in caught.value.hint


@pytest.mark.parametrize("name", REACHING_OUT)
def test_what_reaches_out_of_the_server_is_the_containers_business_alone(name: str) -> None:
    given = [(name.upper(), REACHING_OUT[name])]
    allowed.check(given, contained=True)
    with pytest.raises(UsageError) as caught:
        allowed.check(given, contained=False)
    assert name in caught.value.message
    assert "ALTER SYSTEM" in caught.value.hint
    assert REACHING_OUT[name] not in caught.value.message + caught.value.hint


@pytest.mark.parametrize("name", HARMLESS)
def test_the_rest_is_the_users(name: str) -> None:
    allowed.check([(name, HARMLESS[name])], contained=False)


@pytest.mark.parametrize(
    "name", ["", "a b", "a=b", "x'", "a\n", "ä", "1x", "a..b", ".a", "a.", "#x"]
)
def test_what_is_no_name_is_refused(name: str) -> None:
    with pytest.raises(UsageError):
        allowed.check([(name, "x")], contained=True)


def test_no_value_has_a_nul_in_it() -> None:
    with pytest.raises(UsageError):
        allowed.check([("my.value", "a\0b")], contained=True)


@pytest.mark.parametrize("major", [15, 18])
def test_every_setting_of_such_a_kind_is_refused_without_a_container(major: int) -> None:
    """By the names and descriptions that the server itself has."""
    try:
        program = binaries.postgres(major, data=None).program("postgres")
    except DevdbError as error:
        pytest.skip(error.message)
    said = subprocess.run(
        [program, "--describe-config"], capture_output=True, text=True, check=True
    )
    texts = [row for row in csv.reader(said.stdout.splitlines(), "excel-tab") if row[3] == "STRING"]
    named = {
        row[0] for row in texts if any(k in " ".join([row[0], *row[5:]]).lower() for k in KINDS)
    }
    assert {"archive_command", "data_directory", "krb_server_keyfile", *UNTOUCHED} <= named
    for name in named - UNTOUCHED:
        with pytest.raises(UsageError):
            allowed.check([(name, "/tmp/x")], contained=False)


def test_a_name_with_dots_is_one_name(tmp_path: Path) -> None:
    (tmp_path / "devdb.toml").write_text(
        '[postgres]\nauto_explain.log_min_duration = "1s"\n"my.value" = 3\nWork_Mem = "5MB"\n'
        "[postgres.pg_stat_statements]\nsave = false\n"
    )
    assert config.load(tmp_path, {}, {}).postgres == (
        ("auto_explain.log_min_duration", "1s"),
        ("my.value", "3"),
        ("pg_stat_statements.save", "off"),
        ("work_mem", "5MB"),
    )


@given(st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"])))
def test_no_value_writes_a_second_line(value: str) -> None:
    conf = postgres.conf({"my.value": value}, data="/data")
    assert postgres.settings_in(conf) == (("my.value", value),)
    first, *rest = conf.split("\n")
    assert first == "include_if_exists '/data/postgresql.conf'"
    assert len(rest) == 2
    line = rest[0]
    assert line.startswith("my.value = '")
    assert read(line.removeprefix("my.value = ")) == value


def read(quoted: str) -> str:
    """As Postgres reads it (GUC_scanstr in guc-file.l): '' and backslashes inside quotes."""
    assert quoted[0] == quoted[-1] == "'"
    said, position, inner = "", 0, quoted[1:-1]
    while position < len(inner):
        char = inner[position]
        if char in "\\'":
            position += 1
            char = {"n": "\n", "r": "\r", "t": "\t"}.get(inner[position], inner[position])
            assert inner[position] in "\\'nr"
        said += char
        position += 1
    return said
