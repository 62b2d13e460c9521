"""What the keys of the dashboard do, and what it shows of the instance."""

from __future__ import annotations

import itertools
import stat
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from driving import NAME, Driver
from textual.content import Content

from devdb import clipboard, marker, urls
from devdb.clipboard import Copied, Way
from devdb.config import Settings
from devdb.engines.fake import FakeEngine
from devdb.errors import EngineUnavailable, ExitCode
from devdb.model import LogLine, Server, Spec
from devdb.tui import psql
from devdb.tui.app import DevdbApp
from devdb.tui.dashboard import Dashboard
from devdb.tui.keybar import KeyBar
from devdb.tui.logview import LogView
from devdb.workspace import down, instances, up
from devdb.workspace.instances import State

pytestmark = pytest.mark.usefixtures("copied")
Drive = Callable[..., DevdbApp]
UseEngine = Callable[[FakeEngine], None]


def spec() -> Spec:
    found = marker.load(NAME)
    assert found is not None
    return found


def state() -> State:
    return instances.find(spec()).state


@pytest.fixture
def running(settings: Settings, project: Path) -> Spec:
    """The instance runs before the dashboard is opened."""
    list(up.up(settings, project, NAME))
    return spec()


def test_it_shows_what_there_is_to_know(drive: Drive, settings: Settings) -> None:
    async def scenario(user: Driver) -> None:
        await user.ready()
        text = await user.sees(
            "0 of 100 connections",
            NAME,
            f"127.0.0.1:{settings.port}/main",
            f"127.0.0.1:{settings.pool_port}/main",
            "Postgres  18.0     running",
            "PgBouncer 1.25.2   running",
            "0 clients, transaction pooling",
            "  ·  up ",
            "fake: asked for by default  ·  ",
        )
        assert spec().password not in text

    drive(scenario, size=(120, 40))


@pytest.mark.parametrize(("key", "kind"), [("t", "direct"), ("p", "pooled")])
def test_t_and_p_show_the_url_whole_and_copy_it(
    drive: Drive, copied: list[str], key: str, kind: str
) -> None:
    async def scenario(user: Driver) -> None:
        await user.ready()
        await user.press(key)
        url = urls.url(getattr(spec(), kind))
        await user.sees("✓ copied (xclip)", url)
        assert copied == [url]
        await user.press("escape")
        await user.loses(spec().password)

    drive(scenario)


def test_only_one_url_is_shown_whole(drive: Drive, copied: list[str]) -> None:
    async def scenario(user: Driver) -> None:
        await user.ready()
        await user.press("t")
        await user.press("p")
        await user.until(lambda: len(copied) == 2, "two copies")
        await user.until(lambda: user.text().count(spec().password) == 1, "one of them whole")

    drive(scenario)


def test_without_a_tool_it_is_sent_to_the_terminal_and_nothing_more_is_claimed(
    drive: Drive, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent = Copied(way=Way.TERMINAL, words="sent by OSC 52")
    monkeypatch.setattr(clipboard, "copy", lambda _text: sent)

    async def scenario(user: Driver) -> None:
        await user.ready()
        await user.press("t")
        await user.sees("→ sent by OSC 52")
        assert user.app.clipboard == urls.url(spec().direct)

    drive(scenario)


def test_e_writes_env_and_says_what(drive: Drive, project: Path) -> None:
    (project / ".env").write_text("A=1\nDATABASE_URL=postgresql://me:secret@old/db\n")

    async def scenario(user: Driver) -> None:
        await user.ready()
        await user.press("e")
        await user.sees("DATABASE_URL pooled URL, replaced (was postgresql://me:***@old/db)")
        await user.sees("DIRECT_URL   direct URL, added")

    drive(scenario)
    assert (project / ".env").read_text() == (
        f"A=1\nDATABASE_URL={urls.url(spec().pooled)}\nDIRECT_URL={urls.url(spec().direct)}\n"
    )


def test_an_env_file_that_leads_elsewhere_is_told_until_e_writes_it(
    drive: Drive, project: Path
) -> None:
    (project / ".env").write_text("DATABASE_URL=postgresql://devdb:old@127.0.0.1:7/main\n")

    async def scenario(user: Driver) -> None:
        await user.ready()
        await user.sees(f"! .env: DATABASE_URL leads to port 7, where '{NAME}' is not  e writes it")
        await user.until(lambda: is_urgent(user, "e Write .env"), "e highlighted")
        await user.press("e")
        await user.sees("DATABASE_URL pooled URL, replaced")
        await user.sees("✓ .env holds this instance's URLs")
        await user.until(lambda: not is_urgent(user, "e Write .env"), "e as the others")

    drive(scenario, size=(110, 30))


def is_urgent(user: Driver, words: str) -> bool:
    """Whether the keys show that one reversed."""
    content = user.app.screen.query_one(KeyBar).content
    assert isinstance(content, Content)
    reversed_ = [span for span in content.spans if "reverse" in str(span.style)]
    return words in [content.plain[span.start : span.end] for span in reversed_]


def test_what_e_does_not_write_is_told_with_its_command(drive: Drive, project: Path) -> None:
    async def scenario(user: Driver) -> None:
        await user.ready()
        await user.sees("no .env here has its URLs")
        text = "DATABASE_URL=postgresql://devdb:old@127.0.0.1:7/main\n"
        (project / ".env.local").write_text(text)
        await user.sees("! .env.local: DATABASE_URL leads to port 7")
        await user.sees("try: devdb env")
        assert not is_urgent(user, "e Write .env")
        (project / ".env.local").unlink()
        await user.sees("no .env here has its URLs")

    drive(scenario, size=(130, 30))


def test_e_makes_env_readable_for_nobody_else(drive: Drive, project: Path) -> None:
    async def scenario(user: Driver) -> None:
        await user.ready()
        await user.press("e")
        await user.sees("Made ")

    drive(scenario)
    assert stat.S_IMODE((project / ".env").stat().st_mode) == 0o600


def test_an_env_that_cannot_be_written_is_an_error_on_the_screen(
    drive: Drive, project: Path
) -> None:
    (project / ".env").mkdir()

    async def scenario(user: Driver) -> None:
        await user.ready()
        await user.press("e")
        await user.sees("directory")
        await user.press("q")
        assert (await user.ended()).code == ExitCode.OK

    drive(scenario)


def test_q_stops_what_was_started_here_and_the_keys_say_so(drive: Drive) -> None:
    async def scenario(user: Driver) -> None:
        await user.ready()
        await user.sees("q Quit & stop")
        await user.press("q")
        ending = await user.ended()
        assert ending.code == ExitCode.OK
        assert "stopped" in ending.words

    drive(scenario)
    assert state() == State.STOPPED


def test_q_leaves_running_what_ran_before_and_the_keys_say_so(drive: Drive, running: Spec) -> None:
    async def scenario(user: Driver) -> None:
        await user.ready()
        await user.sees("q Quit (leaves it running)")
        await user.press("q")
        assert (await user.ended()).code == ExitCode.OK

    drive(scenario)
    assert state() == State.RUNNING


async def crowded(user: Driver) -> Dashboard:
    """The dashboard, once it has seen who is connected: they are in trouble, and it says so."""
    await user.sees("4711")
    screen = user.app.screen
    assert isinstance(screen, Dashboard)
    return screen


@pytest.fixture
def clients(monkeypatch: pytest.MonkeyPatch) -> str:
    """What is said of the clients that the pooler has."""
    monkeypatch.setenv("DEVDB_FAKE_CLIENTS", "3")
    return "69 clients are connected (DBeaver, checkout, psql, ...)."


@pytest.mark.parametrize(
    ("answers", "then", "words"),
    [
        (["enter"], State.STOPPED, "is stopped"),
        (["y"], State.STOPPED, "is stopped"),
        (["d"], State.RUNNING, "runs on"),
        (["escape", "d"], State.RUNNING, "runs on"),
        (["ctrl+c"], State.STOPPED, "is stopped"),
    ],
)
def test_q_asks_once_where_clients_are_connected(
    drive: Drive, clients: str, answers: list[str], then: State, words: str
) -> None:
    async def scenario(user: Driver) -> None:
        dashboard = await crowded(user)
        await user.press("q" if answers != ["ctrl+c"] else "ctrl+c")
        await user.sees(clients)
        await user.sees("Stop it all the same?")
        await user.press(answers[0])
        if len(answers) > 1:
            await user.until(lambda: user.app.screen is dashboard, "the dashboard")
            assert state() == State.RUNNING
            await user.press(*answers[1:])
        assert words in (await user.ended()).words

    drive(scenario)
    assert state() == then


@pytest.mark.usefixtures("clients")
def test_sigint_asks_nobody(drive: Drive) -> None:
    async def scenario(user: Driver) -> None:
        await crowded(user)
        user.app.interrupt()
        assert "is stopped" in (await user.ended()).words

    drive(scenario)


@pytest.mark.usefixtures("clients", "running")
def test_q_asks_nothing_where_it_stops_nothing(drive: Drive) -> None:
    async def scenario(user: Driver) -> None:
        await crowded(user)
        await user.press("q")
        assert "runs on" in (await user.ended()).words

    drive(scenario)


REMOVED = "It was removed, with its data; r makes it anew, empty."


@pytest.mark.parametrize("key", ["q", "d", "ctrl+c"])
def test_an_instance_that_was_removed_elsewhere_can_only_be_left_or_made(
    drive: Drive, project: Path, key: str
) -> None:
    async def scenario(user: Driver) -> None:
        dashboard = await user.ready()
        down.remove(spec())
        await user.sees("✕ removed")
        await user.sees(REMOVED)
        bindings = user.app.screen.active_bindings.values()
        actions = {each.binding.action for each in bindings if each.node is dashboard}
        works = {"anew", "leave", "help", "mask", "instances"}
        enabled = {each.binding.action for each in bindings if each.enabled}
        assert actions & enabled <= works | OF_TEXTUAL
        await user.press("e", "t", "n", "s", "l", "f")
        assert user.app.screen is dashboard
        assert not (project / ".env").exists()
        await user.press(key)
        assert (await user.ended()).words == f"'{NAME}' was removed. devdb up makes it anew, empty."

    drive(scenario)
    assert marker.load(NAME) is None


OF_TEXTUAL = {"app.focus_next", "app.focus_previous", "screen.copy_text", "screen.minimize"}


@pytest.mark.usefixtures("running")
def test_r_makes_what_was_removed_anew_and_it_is_ours(drive: Drive) -> None:
    async def scenario(user: Driver) -> None:
        first = await user.ready()
        before = spec()
        down.remove(before)
        await user.sees("r Make it anew")
        await user.press("r")
        await user.until(lambda: user.app.screen is not first, "another screen")
        await user.ready()
        assert spec().password != before.password
        await user.sees("q Quit & stop")

    drive(scenario)


def test_one_that_was_moved_elsewhere_is_opened_anew_with_its_urls(
    drive: Drive, free_port: Callable[[], int], settings: Settings, project: Path
) -> None:
    port = free_port()

    async def scenario(user: Driver) -> None:
        first = await user.ready()
        await user.sees("q Quit & stop")
        list(up.up(replace(settings, port=port), project, NAME))
        await user.until(lambda: user.app.screen is not first, "another screen")
        await user.ready()
        await user.sees(f"127.0.0.1:{port}/main")
        await user.sees("q Quit (leaves it running)")

    drive(scenario)
    assert spec().port == port


@pytest.mark.parametrize("signal", ["interrupt", "key"])
def test_ctrl_c_is_q(drive: Drive, signal: str) -> None:
    async def scenario(user: Driver) -> None:
        await user.ready()
        await user.press("question_mark")
        if signal == "key":
            await user.press("ctrl+c")
        else:
            user.app.interrupt()
        assert (await user.ended()).code == ExitCode.OK

    drive(scenario)
    assert state() == State.STOPPED


@pytest.mark.parametrize("way", ["key", "terminate"])
def test_d_and_sigterm_leave_it_running(drive: Drive, way: str) -> None:
    async def scenario(user: Driver) -> None:
        await user.ready()
        if way == "key":
            await user.press("d")
        else:
            user.app.terminate()
        ending = await user.ended()
        assert ending.code == ExitCode.OK
        assert f"devdb down {NAME}" in ending.words

    drive(scenario)
    assert state() == State.RUNNING


def test_an_engine_gone_when_q_stops_is_the_error_it_ends_with(
    drive: Drive, use_engine: UseEngine
) -> None:
    engine = Vanishing()
    use_engine(engine)

    async def scenario(user: Driver) -> None:
        await user.ready()
        engine.gone = True
        await user.press("q")
        ending = await user.ended()
        assert isinstance(ending.error, EngineUnavailable)

    drive(scenario)


def test_r_stops_and_starts_it_and_q_still_stops_it(drive: Drive) -> None:
    async def scenario(user: Driver) -> None:
        first = await user.ready()
        await user.press("r")
        await user.until(lambda: user.app.screen is not first, "another screen")
        assert await user.ready() is not first
        await user.sees("q Quit & stop")

    drive(scenario)


def test_r_does_not_make_it_ours(drive: Drive, running: Spec) -> None:
    async def scenario(user: Driver) -> None:
        first = await user.ready()
        await user.press("r")
        await user.until(lambda: user.app.screen is not first, "another screen")
        await user.ready()
        await user.sees("q Quit (leaves it running)")

    drive(scenario)


def test_r_makes_it_ours_when_somebody_else_had_stopped_it(drive: Drive, running: Spec) -> None:
    async def scenario(user: Driver) -> None:
        await user.ready()
        down.down(running)
        await user.sees("○ stopped")
        await user.press("r")
        await user.ready()
        await user.sees("q Quit & stop")

    drive(scenario)


def test_a_server_that_dies_is_shown_with_its_last_words_and_r_starts_it(
    drive: Drive, use_engine: UseEngine
) -> None:
    engine = FakeEngine()
    use_engine(engine)

    async def scenario(user: Driver) -> None:
        await user.ready()
        engine.kill(NAME, "postgres")
        text = await user.sees("✕ Postgres is down", "killed by signal 9", "postgres is ready")
        assert "pgbouncer is ready" not in text
        await user.press("r")
        await user.ready()

    drive(scenario)


def test_the_engine_gone_is_shown_and_its_return_too(drive: Drive, use_engine: UseEngine) -> None:
    engine = Vanishing()
    use_engine(engine)

    async def scenario(user: Driver) -> None:
        await user.ready()
        engine.gone = True
        await user.sees("✕ the engine does not answer")
        await user.sees("It was switched off.")
        engine.gone = False
        await user.sees("● ready")

    drive(scenario)


def test_an_engine_that_hangs_is_shown_and_can_be_left(drive: Drive, use_engine: UseEngine) -> None:
    engine = Hanging()
    use_engine(engine)

    async def scenario(user: Driver) -> None:
        await user.ready()
        engine.hangs.set()
        await user.sees("no answer for")
        await user.press("d")
        await user.ended()
        engine.release.set()

    drive(scenario)


def test_l_follows_the_logs_until_it_is_left(drive: Drive, use_engine: UseEngine) -> None:
    engine = Chatty()
    use_engine(engine)

    async def scenario(user: Driver) -> None:
        await user.ready()
        await user.press("l")
        await user.sees("postgres            line ")
        await user.sees("● ready")
        await user.press("l")
        assert not isinstance(user.app.screen, LogView)
        await user.until(lambda: engine.closed, "the end of the stream")

    drive(scenario)


def test_the_logs_can_be_left_while_nothing_is_logged(drive: Drive, use_engine: UseEngine) -> None:
    engine = Chatty(lines=1)
    use_engine(engine)

    async def scenario(user: Driver) -> None:
        await user.ready()
        await user.press("l")
        await user.sees("postgres            line 0")
        await user.press("escape")
        assert not isinstance(user.app.screen, LogView)
        await user.until(lambda: engine.closed, "the end of the stream")

    drive(scenario)


HOSTILE = "\x1b]52;c;aGk=\x1b\\ \x9b2J \u202e[bold]b[/bold] [link=x]l[/link]"
SHOWN = r"\x1b]52;c;aGk=\x1b\ \x9b2J \u202e[bold]b[/bold] [link=x]l[/link]"


def test_what_servers_say_is_plain_text_on_the_screen(drive: Drive, use_engine: UseEngine) -> None:
    use_engine(Rude())

    async def scenario(user: Driver) -> None:
        await user.ready()
        await user.press("l")
        await user.sees(f"postgres            {SHOWN}")
        await user.press("l")
        await user.press("s")
        await user.sees(f"no psql for {SHOWN}")
        await user.press("q")
        assert (await user.ended()).error is None

    drive(scenario, size=(120, 30))


def test_help_lists_every_key_and_the_palette_finds_them(drive: Drive, copied: list[str]) -> None:
    async def scenario(user: Driver) -> None:
        await user.ready()
        await user.press("question_mark")
        await user.sees(
            "Show and copy the URL through PgBouncer",
            "and stop it: it was started here",
            "^p",
            "engine  fake: asked for by default",
            str(Path.cwd().name),
        )
        await user.press("escape", "ctrl+p")
        await user.sees("Search for commands")
        await user.press(*"pooled")
        await user.sees("Pooled URL")
        await user.press("enter", "enter")
        await user.until(lambda: copied == [urls.url(spec().pooled)], "a copy")

    drive(scenario)


@pytest.mark.parametrize("size", [(80, 24), (120, 40), (200, 60)])
def test_every_key_is_seen_where_there_is_room(drive: Drive, size: tuple[int, int]) -> None:
    async def scenario(user: Driver) -> None:
        await user.ready()
        await user.sees("t TCP URL", "p Pooled URL", "e Write .env", "s psql", "l Logs")
        await user.sees("r Restart", "d Detach", "q Quit & stop", "? Help")
        await user.sees("/main", "Postgres", "PgBouncer")

    drive(scenario, size=size)


def test_psql_needs_a_terminal_of_its_own_and_says_so(drive: Drive) -> None:
    async def scenario(user: Driver) -> None:
        await user.ready()
        await user.press("s")
        await user.sees(f"devdb psql -n {NAME}")

    drive(scenario)


def test_psql_gets_the_password_in_its_environment(
    running: Spec, capfd: pytest.CaptureFixture[str]
) -> None:
    psql.run(["sh", "-c", 'echo "$PGPASSWORD"'], running.password)
    assert capfd.readouterr().out == f"{running.password}\n"
    assert running.password not in " ".join(instances.psql_argv(running))


class Vanishing(FakeEngine):
    """Can be switched off."""

    gone = False

    def find(self, name: str) -> Server | None:
        if self.gone:
            raise EngineUnavailable("It was switched off.", "Switch it on.")
        return super().find(name)


class Hanging(FakeEngine):
    """Can be made to hang."""

    def __init__(self) -> None:
        super().__init__()
        self.hangs, self.release = threading.Event(), threading.Event()

    def find(self, name: str) -> Server | None:
        if self.hangs.is_set():
            self.release.wait(20)
        return super().find(name)


class Chatty(FakeEngine):
    """Has something to say all the time, or until it has said that many `lines`."""

    closed = False

    def __init__(self, *, lines: int | None = None) -> None:
        super().__init__()
        self.lines = lines

    def logs(self, name: str, *, tail: int, follow: bool) -> Iterator[LogLine | None]:
        try:
            for number in itertools.count() if self.lines is None else range(self.lines):
                yield LogLine(part="postgres", text=f"line {number}")
                time.sleep(0.01)
            yield from super().logs(name, tail=0, follow=follow)
        finally:
            self.closed = True


class Rude(FakeEngine):
    """Its servers and its errors try to command the terminal."""

    def logs(self, name: str, *, tail: int, follow: bool) -> Iterator[LogLine | None]:
        yield LogLine(part="postgres", text=HOSTILE)

    def psql_argv(self, name: str, *, pooled: bool = False, files: bool = False) -> list[str]:
        raise EngineUnavailable(f"no psql for {HOSTILE}", HOSTILE)
