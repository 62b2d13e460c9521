"""The supervisor of one native instance: starts again what died, and keeps the logs short.

A program of its own, run as `python -I -S supervisor.py CONFIG` and never imported: it lives as
long as the instance, so it takes what little it needs from the standard library. It runs what
CONFIG says (devdb writes it, 0600) and nothing else. devdb talks to it over its stdin while an
instance starts, one line a command and one an answer:

    take             takes the instance: reads CONFIG, opens the servers' pipes     ok, taken
    start PART       starts a server                                                its pid
    adopt PART PID   watches one that runs already                                  ok
    flush            what the servers wrote until now is in their logs              ok
    guard PART...    from now on these are started again when they end              ok

Later it is told by signals: SIGUSR1, hands off (the instance is being stopped); SIGTERM, end. The
servers live on without it: they write to named pipes, get EPIPE while nobody reads, and the next
supervisor reads on.
"""

from __future__ import annotations

import fcntl
import json
import os
import resource
import select
import signal
import stat
import sys
import time

TYPE_CHECKING = False
if TYPE_CHECKING:  # importing typing takes longer than all the rest
    from typing import Any

    Told = dict[str, Any]

FILE = 10_000_000
"""Bytes of a log file."""
OLDER = 2
"""Log files that are kept besides the one that is written."""
STABLE = 60.0
"""Seconds a server has to live for its deaths to be forgotten."""
WRITERS = 1.0
"""Seconds that the processes of a dead Postgres may take to end by themselves."""
_LETTING_GO = 5.0
"""Seconds that one who was killed may take to let go of the instance."""
_CHUNK = 65536
_BACKLOG = 64
"""Chunks that are read at most at once: others wait."""
_POLL = 0.5
"""Seconds between two looks at a process that the system does not tell of."""


class Log:
    """What one server writes: from its pipe into files, none of them longer than `FILE`."""

    def __init__(self, pipe: str, path: str) -> None:
        self.pipe = pipe
        self.path = path
        self.last = b""
        """The end of what came since the server was started."""
        self._whole_line = True
        self._file = -1
        if not os.path.lexists(pipe):
            os.mkfifo(pipe, 0o600)
        self.reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW)
        if not stat.S_ISFIFO(os.fstat(self.reader).st_mode):
            raise OSError(f"{pipe} is no named pipe")
        self.has_writers = True
        """Whether somebody may still write; found out by reading."""

    def writer(self) -> int:
        """A descriptor for a server to write to."""
        self.last = b""
        self.has_writers = True
        return os.open(self.pipe, os.O_WRONLY)

    def read(self) -> bool:
        """Take what is there, at most a chunk; False when that was nothing."""
        try:
            data = os.read(self.reader, _CHUNK)
        except BlockingIOError:
            return False
        if not data:
            self.has_writers = False
            return False
        self.last = (self.last + data)[-4096:]
        self.write(data)
        return True

    def drain(self) -> None:
        """Take what was written until now; of a flood only a part."""
        for _ in range(_BACKLOG):
            if not self.read():
                break

    def say(self, text: str) -> None:
        """A line of the supervisor's own, in the form of the servers' lines."""
        start = b"" if self._whole_line else b"\n"
        moment = time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime())
        self.write(start + f"{moment} [{os.getpid()}] devdb: {text}\n".encode(errors="replace"))

    def write(self, data: bytes) -> None:
        """Append it, in as many files as it takes; what the disk refuses is lost."""
        try:
            while data:
                room = max(FILE - self._size(), 0)
                cut = min(len(data), room)
                if room - cut < _CHUNK:  # from here on only lines that are there to their end
                    whole = data.rfind(b"\n", 0, cut) + 1
                    if whole or (self._whole_line and room < FILE):
                        cut = whole
                if cut:
                    written = os.write(self._file, data[:cut])
                    self._whole_line = data[written - 1 : written] == b"\n"
                    data = data[written:]
                else:
                    self._rotate()
        except OSError:
            self._close()

    def _size(self) -> int:
        """Bytes in the file, which is made anew when somebody removed it."""
        if self._file >= 0:
            status = os.fstat(self._file)
            if status.st_nlink:
                return status.st_size
            self._close()
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW
        self._file = os.open(self.path, flags, 0o600)
        self._whole_line = True
        return os.fstat(self._file).st_size

    def _rotate(self) -> None:
        self._close()
        names = [self.path, *(f"{self.path}.{number}" for number in range(1, OLDER + 1))]
        for older, newer in zip(reversed(names), reversed(names[:-1]), strict=False):
            if os.path.lexists(newer):
                os.replace(newer, older)

    def _close(self) -> None:
        if self._file >= 0:
            os.close(self._file)
        self._file = -1


class Ward:
    """One server."""

    def __init__(self, name: str, told: Told, user: list[int] | None) -> None:
        self.name = name
        self.told = told
        self.user = user
        self.log = Log(told["pipe"], told["log"])
        self.pid = 0
        self.pidfd = -1
        """Of one that is not this process' child, where the system has such descriptors."""
        self.is_child = False
        self.wanted = False
        self.started = self.ended = 0.0
        self.tries = 0
        """How often it was started again and died soon."""
        self.due: float | None = None
        """When it is to be started again."""
        self.clearing = 0
        """The process that ends what a dead Postgres left."""

    def start(self) -> None:
        """Start it. Raises OSError."""
        for path in (*self.told["stale"], self.told["verdict"]):
            _remove(path)
        self.pid = _run_program(self.told, self.log.writer(), self.user)
        self.is_child = True
        self.started, self.due = time.monotonic(), None
        if self.told["pid_file"]:
            _replace(self.told["pid_file"], f"{self.pid}\n")

    def adopt(self, pid: int) -> None:
        """Watch a process that is no child."""
        _remove(self.told["verdict"])
        self.pid, self.is_child, self.started = pid, False, time.monotonic()
        try:
            self.pidfd = os.pidfd_open(pid)
        except (AttributeError, OSError):
            self.pidfd = -1

    def has_ended(self) -> tuple[bool, int | None]:
        """Whether it has, and its exit code (a signal's is negative); None: nobody knows."""
        if not self.pid:
            return False, None
        if self.is_child:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            return (True, os.waitstatus_to_exitcode(status)) if pid else (False, None)
        if self.pidfd >= 0:
            return bool(select.select([self.pidfd], [], [], 0)[0]), None
        return not _is_alive(self.pid), None

    def bury(self) -> None:
        """It has ended: take its last words, and end what it led."""
        self.log.drain()
        if self.told["is_group"]:
            try:
                os.killpg(self.pid, signal.SIGTERM)
            except OSError:
                pass
        if self.pidfd >= 0:
            os.close(self.pidfd)
        self.pid, self.pidfd, self.ended = 0, -1, time.monotonic()

    def was_stopped(self, code: int | None) -> bool:
        """Whether somebody shut it down on purpose, by what it left."""
        if code is not None:
            return code == 0 and not self.told["is_group"]
        if not self.told["control"]:
            return False
        try:
            # Not waiting: the servers' user may have put something else there.
            control = os.open(self.told["control"], os.O_RDONLY | os.O_NONBLOCK)
        except OSError:
            return False
        try:
            # pg_control: identifier (8 bytes), two versions (4 each), state; 1 is "shut down".
            return int.from_bytes(os.read(control, 20)[16:], sys.byteorder) == 1
        except OSError:
            return False
        finally:
            os.close(control)

    def judge(self, text: str) -> None:
        """It is not started again, for this reason: said in the log, and kept for `status`."""
        self.wanted, self.due = False, None
        self.log.say(f"{self.name} {text}")
        try:
            _replace(self.told["verdict"], f"{text}\n")
        except OSError:
            pass

    def last_exit_in_words(self) -> str:
        """Its last complaint, else its last line; printable, on one line."""
        lines = self.log.last.decode(errors="replace").splitlines()
        lines = [line.strip() for line in lines if line.strip()]
        loud = [line for line in lines if any(word in line for word in ("FATAL", "PANIC", "ERROR"))]
        text = (loud or lines or ["it said nothing"])[-1]
        return "".join(letter if letter.isprintable() else "?" for letter in text)[:300]


class Supervisor:
    """Watches over the parts of the instance, and does as it is told."""

    def __init__(self, config: str) -> None:
        self.config = config
        self.parts: dict[str, Ward] = {}
        self.clear: list[str] = []
        self.delays: list[float] = []
        self.lock = -1
        self.is_guarding = False
        self.is_told_off = self.is_ending = False
        self.orders: int | None = 0
        self._received = b""

    def run(self) -> None:
        """Until it is told to end."""
        awake, wake = os.pipe()
        for end in (awake, wake, 0):
            os.set_blocking(end, False)
        signal.set_wakeup_fd(wake, warn_on_full_buffer=False)
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.signal(signal.SIGUSR1, self._note)
        signal.signal(signal.SIGTERM, self._note)
        while not self.is_ending:
            poll = select.poll()
            fds = [awake, *([] if self.orders is None else [self.orders])]
            fds += [part.log.reader for part in self.parts.values() if part.log.has_writers]
            fds += [part.pidfd for part in self.parts.values() if part.pidfd >= 0]
            for fd in fds:
                poll.register(fd, select.POLLIN)
            ready = {fd for fd, _ in poll.poll(self._patience())}
            if awake in ready:
                os.read(awake, 4096)
            if self.is_told_off:
                self._hands_off()
            for part in self.parts.values():
                if part.log.reader in ready:
                    part.log.read()
            self._look_for_the_dead()
            if self.orders is not None and self.orders in ready:
                self._obey()
            self._start_what_is_due()
            if self._is_forgotten():
                break
        for part in self.parts.values():
            part.log.drain()

    def _note(self, number: int, _: object) -> None:
        """A signal came, at whatever moment: it is obeyed in its turn."""
        if number == signal.SIGUSR1:
            self.is_told_off = True
        else:
            self.is_ending = True

    def _hands_off(self) -> None:
        """From now on nothing is started again."""
        self.is_guarding = self.is_told_off = False
        for part in self.parts.values():
            part.wanted, part.due = False, None
        self._write_down("hands off")

    def _is_forgotten(self) -> bool:
        """Whether somebody removed the whole instance under it."""
        if not self.parts or any(part.pid for part in self.parts.values()):
            return False
        return not os.path.exists(self.config)

    def _patience(self) -> float | None:
        """Milliseconds until something is to be done, whatever happens."""
        now = time.monotonic()
        parts = self.parts.values()
        waits = [part.due - now for part in parts if part.due is not None]
        waits += [_POLL for part in parts if part.pid and not part.is_child and part.pidfd < 0]
        return max(0.0, min(waits)) * 1000 if waits else None

    def _look_for_the_dead(self) -> None:
        """See which servers have ended, and what is to be done about it."""
        for part in self.parts.values():
            if part.clearing and os.waitpid(part.clearing, os.WNOHANG)[0]:
                part.clearing = 0
                part.due = time.monotonic()
            ended, code = part.has_ended()
            if not ended:
                continue
            part.bury()
            if not (self.is_guarding and part.wanted):
                continue
            if part.was_stopped(code):
                part.judge("was shut down by hand")
                continue
            if part.ended - part.started >= STABLE:
                part.tries = 0
            self._try_again(part, "" if code is None else f" ({_exit_in_words(code)})")

    def _try_again(self, part: Ward, how: str) -> None:
        if part.tries == len(self.delays):
            part.judge(f"was given up after {part.tries} tries: {part.last_exit_in_words()}")
            return
        part.due = part.ended + self.delays[part.tries]
        part.tries += 1
        part.log.say(f"{part.name} ended{how} and is started again")

    def _start_what_is_due(self) -> None:
        now = time.monotonic()
        for part in self.parts.values():
            if part.due is None or part.due > now or part.clearing or not self.is_guarding:
                continue
            try:
                if not self._is_cleared(part, now):
                    continue
                part.start()
            except OSError as error:
                part.log.last += f"\n{error}\n".encode(errors="replace")
                part.ended = now
                self._try_again(part, f" ({error})")

    def _is_cleared(self, part: Ward, now: float) -> bool:
        """Whether nothing is left of the dead Postgres; else that is seen to.

        Its backends have its end of the pipe, so that reading tells.
        """
        if not part.told["control"]:
            return True
        part.log.drain()
        if not part.log.has_writers:
            return True
        if now - part.ended < WRITERS:
            part.due = now + 0.02
            return False
        if not self.clear:
            return True
        null = os.open(os.devnull, os.O_WRONLY)
        part.clearing = _run_program(
            {"argv": self.clear, "env": dict(os.environ), "cwd": "/"}, null, None
        )
        part.log.has_writers = False  # once is enough: then Postgres itself looks for them
        return False

    def _obey(self) -> None:
        try:
            data = os.read(0, 4096)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            self._hang_up()
            return
        *lines, self._received = (self._received + data).split(b"\n")
        for line in lines:
            order, *words = line.decode().split()
            try:
                answer = self._do(order, words)
            except OSError as error:
                answer = f"error {error}"
            try:
                os.write(0, f"{answer}\n".encode(errors="replace"))
            except OSError:
                pass  # who asked is gone; that is read in a moment

    def _do(self, order: str, words: list[str]) -> str:
        if order == "take":
            return self._take_instance()
        if order == "start":
            part = self.parts[words[0]]
            part.start()
            return str(part.pid)
        if order == "adopt":
            self.parts[words[0]].adopt(int(words[1]))
        elif order == "flush":
            for part in self.parts.values():
                part.log.drain()
        elif order == "guard":
            for name in words:
                self.parts[name].wanted = True
                if not self.parts[name].pid:
                    self.parts[name].due = time.monotonic()
            self.is_guarding = True
            self._write_down("guarding")
        return "ok"

    def _take_instance(self) -> str:
        """Become the instance's only supervisor."""
        with open(self.config, encoding="utf-8") as file:
            told = json.load(file)
        self.lock = os.open(told["pid_file"], os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
        deadline = time.monotonic() + _LETTING_GO
        while not self._is_locked():
            if time.monotonic() > deadline:
                self.is_ending = True
                return "taken"
            time.sleep(0.01)
        self._write_down("starting")
        self.clear, self.delays = told["clear"], told["delays"]
        for name, part in told["parts"].items():
            self.parts[name] = Ward(name, part, told["user"])
        return "ok"

    def _is_locked(self) -> bool:
        try:
            fcntl.flock(self.lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

    def _write_down(self, state: str) -> None:
        """Write down who it is and what it does: for `status`, and for who ends it."""
        if self.lock >= 0:
            os.pwrite(self.lock, f"{os.getpid():<10}\n{state:<10}\n".encode(), 0)

    def _hang_up(self) -> None:
        """devdb is gone."""
        self.orders = None
        null = os.open(os.devnull, os.O_RDWR)
        os.dup2(null, 0)
        os.close(null)
        if self.lock < 0:
            self.is_ending = True  # and did not get to its first order


def _run_program(told: Told, output: int, user: list[int] | None) -> int:
    """Start a program in a session of its own; the pid once it is that program.

    Closes `output`. SIGPIPE stays ignored, as Python has it: a server whose log nobody reads
    must not end of it.
    """
    began, is_begun = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            os.setsid()
            null = os.open(os.devnull, os.O_RDONLY)
            for source, target in ((null, 0), (output, 1), (output, 2)):
                os.dup2(source, target)
            os.umask(0o077)
            os.chdir(told["cwd"])
            _raise_limit(told.get("files", 0))
            if user:
                os.setgroups([])
                os.setgid(user[1])
                os.setuid(user[0])
            os.execve(told["argv"][0], told["argv"], told["env"])
        except BaseException as error:
            os.write(2, f"devdb: cannot run {told['argv'][0]}: {error}\n".encode(errors="replace"))
        finally:
            os._exit(127)
    os.close(output)
    os.close(is_begun)
    os.read(began, 1)  # it ends when the program begins
    os.close(began)
    while not _is_recognisable(pid):
        time.sleep(0.0005)
    return pid


def _is_recognisable(pid: int) -> bool:
    """Whether a child has a command line, or has ended: in the middle of an exec it has none."""
    try:
        with open(f"/proc/{pid}/cmdline", "rb") as words, open(f"/proc/{pid}/stat", "rb") as status:
            # proc_pid_stat(5): the state follows the name, which may have anything in it.
            state = status.read().rpartition(b")")[2].split()[0]
            return state in (b"Z", b"X") or bool(words.read(1))
    except OSError:
        return True  # no Linux


def _raise_limit(files: int) -> None:
    """Let this process have so many files open, or as many as the system allows."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = files if hard == resource.RLIM_INFINITY else min(files, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def _replace(path: str, text: str) -> None:
    """Write a file, whole or not at all."""
    temporary = f"{path}.new"
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o600)
    try:
        os.write(descriptor, text.encode(errors="replace"))
    finally:
        os.close(descriptor)
    os.replace(temporary, path)


def _remove(path: str) -> None:
    try:
        os.unlink(path)
    except FileNotFoundError:
        pass


def _is_alive(pid: int) -> bool:
    """For where there are no pidfds."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _exit_in_words(code: int) -> str:
    return f"exit code {code}" if code >= 0 else f"signal {-code}"


if __name__ == "__main__":
    Supervisor(sys.argv[1]).run()
