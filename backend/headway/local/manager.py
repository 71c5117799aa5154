"""The process manager of `up`: supervisord as our child, spoken to over its socket, and nothing left behind."""

from __future__ import annotations

import ctypes
import http.client
import os
import socket
import subprocess
import sys
import xmlrpc.client
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from headway.errors import LocalServiceError
from headway.local.waiting import wait_until
from headway.parent_death import PARENT_PID

_PR_SET_CHILD_SUBREAPER = 36
_ANSWER_SECONDS = 15.0
_KILL_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class ProgramState:
    """What supervisord says of one program; `troubled` while it ends as soon as it starts."""

    name: str
    troubled: bool
    pid: int


class Manager:
    """One running supervisord."""

    def __init__(self, config: Path, control: Path, environment: Mapping[str, str]) -> None:
        """Start it. Raises LocalServiceError if it does not answer within 15 s."""
        adopt_orphans()
        self._others = set(psutil.Process().children())
        control.unlink(missing_ok=True)
        command = [sys.executable, "-P", "-m", "headway.local.supervisord", str(config)]
        # A session of its own: Ctrl-C in the terminal reaches us alone, and we stop it in order.
        self._process = subprocess.Popen(
            command,
            env={**environment, PARENT_PID: str(os.getpid())},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            start_new_session=True,
        )
        self._rpc: Any = xmlrpc.client.ServerProxy("http://supervisor", transport=_UnixTransport(control)).supervisor
        if not wait_until(lambda: self._answers() or not self.alive, _ANSWER_SECONDS) or not self.alive:
            self.kill()
            raise LocalServiceError(
                f"The process manager did not start: see {config.parent.parent}/logs/supervisord.log."
            )

    @property
    def alive(self) -> bool:
        """Whether supervisord runs."""
        return self._process.poll() is None

    def start(self, group: str, program: str | None = None) -> None:
        """Start one program of a group, or all of its programs that do not run yet, without waiting."""
        if program:
            self._rpc.startProcess(f"{group}:{program}", False)
        else:
            self._rpc.startProcessGroup(group, False)

    def states(self) -> list[ProgramState]:
        """Every program's state now."""
        return [
            ProgramState(info["name"], info["statename"] in ("BACKOFF", "FATAL", "EXITED"), info["pid"])
            for info in self._rpc.getAllProcessInfo()
        ]

    def stop(self, seconds: float) -> None:
        """Stop everything in order, and by force what is left after `seconds`, or at once at a further Ctrl-C."""
        try:
            if self.alive:
                self._process.terminate()
                wait_until(self._ended, seconds)
        except KeyboardInterrupt:
            pass
        finally:
            self.kill()

    def _ended(self) -> bool:
        self._answers()
        return not self.alive

    def _answers(self) -> bool:
        """Ask for a sign of life. Any call also wakes supervisord, which looks at its processes once a second else."""
        try:
            self._rpc.getState()
        except xmlrpc.client.Fault:  # it is on its way out
            return True
        except (OSError, http.client.HTTPException):
            return False
        return True

    def kill(self) -> None:
        """End supervisord, what it started, and what became ours when its parent ended, all at once."""
        wait_until(self._killed_all, _KILL_SECONDS)
        self._process.wait(timeout=_KILL_SECONDS)

    def _killed_all(self) -> bool:
        ours = [child for child in psutil.Process().children() if child not in self._others]
        for child in ours:
            end_family(child, 0)
        return not ours

    def reap_orphans(self) -> None:
        """Collect ended processes whose parents ended before them and that became ours."""
        options = os.WEXITED | os.WNOHANG | os.WNOWAIT
        while (ended := os.waitid(os.P_ALL, 0, options)) and ended.si_pid != self._process.pid:
            os.waitpid(ended.si_pid, 0)


class _UnixTransport(xmlrpc.client.Transport):
    """XML-RPC over a Unix socket, each call within `_ANSWER_SECONDS`."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self._path = str(path)

    def make_connection(self, host: Any) -> http.client.HTTPConnection:
        """One connection a call: supervisord closes them anyway."""
        connection = http.client.HTTPConnection("supervisor", timeout=_ANSWER_SECONDS)
        connection.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        connection.sock.settimeout(_ANSWER_SECONDS)
        connection.sock.connect(self._path)
        return connection


def end_family(process: psutil.Process, seconds: float) -> None:
    """Wait for a process and all it started to end, and kill what has not after `seconds`."""
    try:
        family = [process, *process.children(recursive=True)]
    except psutil.NoSuchProcess:
        return
    _, alive = psutil.wait_procs(family, timeout=seconds)
    for member in alive:
        with suppress(psutil.NoSuchProcess):
            member.kill()
    psutil.wait_procs(alive, timeout=_KILL_SECONDS)


def adopt_orphans() -> None:
    """Become the parent of every descendant whose own parent ends, however it daemonised (Linux)."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
