"""A command that says its pid, then each signal that reaches it, and who sent it.

SIGTERM ends it, as if it had no handler.
"""

import os
import signal

ALL = signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP, signal.SIGCHLD}

signal.pthread_sigmask(signal.SIG_BLOCK, ALL)
os.write(1, f"{os.getpid()}\n".encode())
while True:
    found = signal.sigwaitinfo(ALL)
    os.write(1, f"{found.si_signo} from {found.si_pid}\n".encode())
    if found.si_signo == signal.SIGUSR2:
        os.kill(os.getppid(), signal.SIGUSR2)
    if found.si_signo == signal.SIGTERM:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_SETMASK, ())
        os.kill(os.getpid(), signal.SIGTERM)
