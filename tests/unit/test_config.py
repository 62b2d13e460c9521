from __future__ import annotations

from pathlib import Path

import pytest

from devdb import config
from devdb.errors import UsageError
from devdb.model import PoolMode


def test_an_option_beats_the_environment_beats_the_file(tmp_path: Path) -> None:
    (tmp_path / "devdb.toml").write_text(
        'port = 1111\npool-port = 1112\npg = 16\nengine = "native"\n'
    )
    settings = config.load(
        tmp_path,
        {"port": 3333, "image": None},
        {"DEVDB_PORT": "2222", "DEVDB_POOL_PORT": "2223"},
    )
    assert (settings.port, settings.pool_port, settings.pg) == (3333, 2223, 16)
    assert settings.engine == "native"
    assert settings.source("port") == "--port"
    assert settings.source("pool_port") == "DEVDB_POOL_PORT"
    assert settings.source("pg") == "devdb.toml"
    assert settings.source("image") == "default"


def test_an_empty_variable_says_nothing(tmp_path: Path) -> None:
    assert config.load(tmp_path, {}, {"DEVDB_PORT": ""}).port is None


def test_postgres_settings_are_spelled_as_postgres_reads_them(tmp_path: Path) -> None:
    (tmp_path / "devdb.toml").write_text(
        '[postgres]\nwork_mem = "64MB"\njit = false\nmax_connections = 50\n'
    )
    assert config.load(tmp_path, {}, {}).postgres == (
        ("jit", "off"),
        ("max_connections", "50"),
        ("work_mem", "64MB"),
    )


def test_pgbouncer_settings_are_spelled_as_pgbouncer_reads_them(tmp_path: Path) -> None:
    (tmp_path / "devdb.toml").write_text(
        "[pgbouncer]\nmax_client_conn = 50\nserver_round_robin = true\n"
        'server_lifetime = 0.5\nserver_check_query = "select 1"\n'
    )
    assert config.load(tmp_path, {}, {}).pgbouncer == (
        ("max_client_conn", "50"),
        ("server_check_query", "select 1"),
        ("server_lifetime", "0.5"),
        ("server_round_robin", "1"),
    )


def test_names_for_the_env_file_are_kept_in_their_order(tmp_path: Path) -> None:
    (tmp_path / "devdb.toml").write_bytes('\ufeff[env]\nB = "pooled"\nA = "port"\n'.encode())
    assert config.load(tmp_path, {}, {}).env == (("B", "pooled"), ("A", "port"))


def test_where_in_a_cluster_new_instances_go(tmp_path: Path) -> None:
    (tmp_path / "devdb.toml").write_text(
        '[kubernetes]\nstorage_class = "fast"\ncontext = "me@far:6443/x"\n'
    )
    assert config.load(tmp_path, {}, {}).kubernetes == (
        ("context", "me@far:6443/x"),
        ("storage-class", "fast"),
    )


@pytest.mark.parametrize("text", ["env = 3", "[env]\nA = 3", "[env]\nA = ['pooled']"])
def test_names_for_the_env_file_that_make_no_sense(tmp_path: Path, text: str) -> None:
    (tmp_path / "devdb.toml").write_text(text)
    with pytest.raises(UsageError, match="env"):
        config.load(tmp_path, {}, {})


@pytest.mark.parametrize(
    ("options", "who"),
    [
        ({"port": 0}, "--port"),
        ({"port": 70000}, "--port"),
        ({"port": -1}, "--port"),
        ({"pool_port": 65536}, "--pool-port"),
        ({"pg": 9}, "--pg"),
        ({"engine": "lxc"}, "--engine"),
        ({"pool_mode": "statement"}, "--pool-mode"),
        ({"port": 5000, "pool_port": 5000}, "5000"),
        ({"name": "a b"}, "--name"),
        ({"image": " "}, "--image"),
    ],
)
def test_a_value_that_cannot_be_right_names_who_said_it(
    tmp_path: Path, options: dict[str, object], who: str
) -> None:
    with pytest.raises(UsageError) as error:
        config.load(tmp_path, options, {})
    assert who in error.value.message
    assert error.value.hint


@pytest.mark.parametrize(
    "text",
    [
        *("port = ", "prot = 1\n", "postgres = 3\n", '[postgres]\n"a b" = 1\n', "port = []\n"),
        *("pgbouncer = 3\n", '[pgbouncer]\n"a b" = 1\n', "[pgbouncer]\nA = 1\n"),
        *('[pgbouncer]\na = "1\\nauth_type = any"\n', '[pgbouncer]\na = "\\u001b[2J"\n'),
        *("kubernetes = 'dev'\n", "[kubernetes]\nsize = 10\n", "[kubernetes]\ncontext = ' '\n"),
        *("[pgbouncer]\na = []\n", "[pgbouncer.a]\nb = 1\n", '[pgbouncer]\n"%include" = "x"\n'),
    ],
)
def test_a_file_that_cannot_be_right_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "devdb.toml").write_text(text)
    with pytest.raises(UsageError):
        config.load(tmp_path, {}, {})


@pytest.mark.parametrize("key", ["pool-mode", "pool_mode"])
def test_a_value_of_the_file_that_cannot_be_right_is_told_with_its_key(
    tmp_path: Path, key: str
) -> None:
    (tmp_path / "devdb.toml").write_text(f'{key} = "statement"\n')
    with pytest.raises(UsageError, match=r"^devdb\.toml: pool-mode: 'statement' is unknown"):
        config.load(tmp_path, {}, {})


def test_the_pool_mode_is_a_word_of_the_model(tmp_path: Path) -> None:
    assert config.load(tmp_path, {"pool_mode": "session"}, {}).pool_mode is PoolMode.SESSION


@pytest.mark.parametrize(
    ("directory", "name"),
    [
        ("shop", "shop"),
        ("My Shop 2", "my-shop-2"),
        ("../x", "x"),
        ("Zürich", "zurich"),
        ("数据", "project"),
        ("pgbouncer", "pgbouncer"),
        ("--", "project"),
        ("", "project"),
        ("a" * 200, "a" * 40),
    ],
)
def test_any_directory_name_makes_a_valid_instance_name(directory: str, name: str) -> None:
    assert config.slug(directory) == name
    assert config.check_name(config.slug(directory)) == name


def test_a_suffixed_name_stays_valid_and_depends_on_the_path() -> None:
    one = config.suffixed("a" * 40, Path("/one"))
    two = config.suffixed("a" * 40, Path("/two"))
    assert one != two
    assert config.check_name(one) == one


@pytest.mark.parametrize("name", ["a b", "../x", "a" * 200, "naïve", "", "-x", "A", "x/y", "x\n"])
def test_a_name_that_is_none_is_refused_with_one_that_is(name: str) -> None:
    with pytest.raises(UsageError) as error:
        config.check_name(name)
    assert error.value.exit_code == 2


def test_the_project_root_is_the_nearest_directory_with_a_mark(tmp_path: Path) -> None:
    outer = tmp_path / "outer"
    inner = outer / "packages" / "inner"
    (inner / "src").mkdir(parents=True)
    (outer / ".git").mkdir()
    assert config.project_root(inner / "src") == outer
    (inner / "package.json").touch()
    assert config.project_root(inner / "src") == inner
