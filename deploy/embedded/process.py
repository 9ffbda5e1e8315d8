"""Child processes that never outlive their purpose, and free ports on loopback."""

import contextlib
import ctypes
import os
import signal
import socket
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil

PR_SET_PDEATHSIG = 1
LOOPBACK = "127.0.0.1"


@dataclass(frozen=True)
class Session:
    """A process and all that descends from it, also what outlives its parent.

    `born` tells it from a later process that was given the same id.
    """

    pid: int
    born: float

    def members(self) -> list[psutil.Process]:
        return [one for one in psutil.process_iter() if self._holds(one)]

    def leads(self) -> bool:
        """Whether the first process itself still runs."""
        return any(one.pid == self.pid for one in self.members())

    def _holds(self, one: psutil.Process) -> bool:
        try:
            if os.getsid(one.pid) != self.pid or one.status() == psutil.STATUS_ZOMBIE:
                return False
            return one.pid != self.pid or one.create_time() == self.born
        except (ProcessLookupError, PermissionError, psutil.Error):
            return False


def start(
    command: Sequence[str | Path],
    log: Path,
    env: Mapping[str, str] | None = None,
    tied: bool = True,
    keep: Sequence[int] = (),
) -> subprocess.Popen:
    """Start a session of its own, which inherits the files `keep`.

    `tied`: the kernel kills its leader when this process dies.
    """
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("ab") as out:
        return subprocess.Popen(
            [str(part) for part in command],
            env=dict(env) if env is not None else None,
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            pass_fds=keep,
            preexec_fn=die_with_parent if tied else None,
        )


def session(started: subprocess.Popen) -> Session:
    """The session that `start` made."""
    return Session(started.pid, psutil.Process(started.pid).create_time())


def end(sessions: Sequence[Session], patience_seconds: float = 0.0) -> None:
    """End sessions whole; politely first where `patience_seconds` is given."""
    if patience_seconds:
        for one in sessions:
            if one.leads():
                _signal(one.pid, signal.SIGTERM)
        deadline = time.monotonic() + patience_seconds
        while any(one.members() for one in sessions) and time.monotonic() < deadline:
            time.sleep(0.2)
    while left := [member for one in sessions for member in one.members()]:
        for member in left:
            _signal(member.pid, signal.SIGKILL)
        time.sleep(0.02)


def free_ports(count: int) -> list[int]:
    """Distinct free ports on loopback, all found while the others are held."""
    sockets = [socket.socket() for _ in range(count)]
    try:
        for one in sockets:
            one.bind((LOOPBACK, 0))
        return [one.getsockname()[1] for one in sockets]
    finally:
        for one in sockets:
            one.close()


def reach_loopback() -> None:
    """A proxy of the network (`http_proxy`) knows nothing of this machine: neither we nor our children ask it."""
    for name in ("NO_PROXY", "no_proxy"):
        spared = os.environ.get(name) or os.environ.get("NO_PROXY", "")
        if spared != "*" and LOOPBACK not in spared.split(","):
            os.environ[name] = ",".join(filter(None, (spared, LOOPBACK)))


def die_with_parent() -> None:
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def _signal(pid: int, number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, number)
