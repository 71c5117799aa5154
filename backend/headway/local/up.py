"""`headway up`: embedded services, migrations, then the API and the workers, until it is told to stop."""

from __future__ import annotations

import errno
import http.client
import os
import shutil
import signal
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from types import FrameType

import psutil

from headway.access import ensure_token
from headway.errors import LocalServiceError
from headway.local import postgres, valkey
from headway.local.account import service_account
from headway.local.folders import prepare_data_dir, runtime_dir
from headway.local.installation import (
    Running,
    described,
    locked,
    reachable_host,
    read_info,
)
from headway.local.manager import Manager, end_family
from headway.local.programs import HEADWAY, SERVICES, Program, headway_programs, log_file, pid_file, supervisord_config
from headway.local.waiting import wait_until
from headway.settings import Settings

READY_SECONDS = 60.0
_PREVIOUS_SECONDS = 20.0
_PORT_SECONDS = 5.0
_LOOK_SECONDS = 1.0
_STOP_MARGIN_SECONDS = 15.0

Say = Callable[[str], None]


class Interrupts:
    """Raises KeyboardInterrupt for a signal, and remembers it: raised in a finalizer it would be lost."""

    come = False

    def __call__(self, number: int, frame: FrameType | None) -> None:
        """Handle a signal."""
        self.come = True
        raise KeyboardInterrupt


@dataclass(frozen=True, slots=True)
class Installation:
    """What `started` gives: how to reach it, and its process manager."""

    running: Running
    manager: Manager
    data_dir: Path
    say: Say
    interrupts: Interrupts

    def watch(self) -> None:
        """Stay until interrupted; tell of programs that end. Raises LocalServiceError if the manager itself ended."""
        troubled: set[str] = set()
        while True:
            time.sleep(_LOOK_SECONDS)
            if self.interrupts.come:
                raise KeyboardInterrupt
            if not self.manager.alive:
                raise LocalServiceError(f"The process manager ended: see {log_file(self.data_dir, 'supervisord')}.")
            self.manager.reap_orphans()
            now = {state.name for state in self.manager.states() if state.troubled}
            for name in sorted(now - troubled):
                self.say(f"{name} ended; it is started again. Its log: {log_file(self.data_dir, name)}")
            troubled = now


@contextmanager
def started(settings: Settings, say: Say, programs: list[Program] | None = None) -> Iterator[Installation]:
    """A running installation for as long as the block lasts; SIGTERM and SIGHUP interrupt it like Ctrl-C.

    `programs` are what runs beside the services; by default the API and the workers.
    Raises AlreadyRunningError, or LocalServiceError that says what could not start and where to look.
    """
    data_dir = settings.headway_data_dir
    grace = settings.headway_stop_grace_seconds
    prepare_data_dir(data_dir, service_account() if settings.headway_database_url is None else None)
    with _interruptible() as interrupts, locked(data_dir):
        port = _require_port(settings, patience=_PORT_SECONDS if _end_previous(data_dir, say) else 0)
        embedded, database_url, redis_url = _services(settings, data_dir)
        token = ensure_token(settings)
        running = Running(os.getpid(), settings.headway_host, port, token, database_url, redis_url)
        environment = os.environ | _environment(settings, running, embedded)
        config = data_dir / "run" / "supervisord.conf"
        control = runtime_dir(data_dir) / "control.sock"
        table = headway_programs(grace) if programs is None else programs
        config.write_text(supervisord_config([*embedded, *table], data_dir, control))
        with described(data_dir, running):
            manager = Manager(config, control, environment)
            try:
                installation = Installation(running, manager, data_dir, say, interrupts)
                say(f"Dashboard: {running.dashboard}")
                _bring_up(installation, [program.name for program in table if program.serves])
                yield installation
            finally:
                manager.stop(grace + _STOP_MARGIN_SECONDS)
                shutil.rmtree(runtime_dir(data_dir), ignore_errors=True)


def _bring_up(installation: Installation, serving: list[str]) -> None:
    from headway.storage.migrate import upgrade

    running = installation.running
    began = time.monotonic()
    postgres.wait_ready(running.database_url)
    valkey.wait_ready(running.redis_url)
    upgrade(running.database_url)
    for name in serving:  # alone, so that they answer sooner; the workers take their time
        installation.manager.start(HEADWAY, name)
    if not wait_until(lambda: _answers(running), READY_SECONDS):
        log = log_file(installation.data_dir, serving[-1])
        raise LocalServiceError(f"The API does not answer after {READY_SECONDS:.0f} s. The end of {log}:\n{_tail(log)}")
    installation.manager.start(HEADWAY)
    installation.say(f"Ready after {time.monotonic() - began:.1f} s. Ctrl-C stops everything.")


def _services(settings: Settings, data_dir: Path) -> tuple[list[Program], str, str]:
    """The embedded services' programs, and where database and queue are."""
    embedded: list[Program] = []
    database_url, redis_url = settings.headway_database_url, settings.headway_redis_url
    if database_url is None:
        cluster = postgres.prepare_cluster(data_dir, runtime_dir(data_dir))
        embedded.append(Program("postgres", cluster.command, SERVICES, stop_signal="INT", stop_seconds=10))
        database_url = cluster.url
    if redis_url is None:
        queue = valkey.prepare_queue(data_dir)
        embedded.append(Program("valkey", queue.command, SERVICES))
        redis_url = queue.url
    return embedded, database_url, redis_url


def _environment(settings: Settings, running: Running, embedded: list[Program]) -> dict[str, str]:
    """What the programs learn: everything that was decided here, secrets too, and never on a command line."""
    decided = {
        "HEADWAY_DATA_DIR": str(settings.headway_data_dir),
        "HEADWAY_PORT": str(running.port),
        "HEADWAY_TOKEN": running.token,
        "HEADWAY_DATABASE_URL": running.database_url,
        "HEADWAY_REDIS_URL": running.redis_url,
        "PYTHONUNBUFFERED": "1",
    }
    if settings.redis_ws_url is None and any(program.name == "valkey" for program in embedded):
        decided["REDIS_WS_URL"] = running.redis_url.removesuffix("/0") + "/1"
    return decided


def _end_previous(data_dir: Path, say: Say) -> bool:
    """End what a killed `up` may have left, which is on its way out anyway; whether there was such an `up`."""
    if read_info(data_dir) is None:
        return False
    say("The previous run was killed; waiting for the rest of it to end.")
    with suppress(OSError, ValueError, psutil.NoSuchProcess):
        process = psutil.Process(int(pid_file(data_dir).read_text()))
        if any(str(data_dir) in argument for argument in process.cmdline()):  # else the id is another's by now
            end_family(process, _PREVIOUS_SECONDS)
    return True


def _require_port(settings: Settings, patience: float) -> int:
    host, port = settings.headway_host, settings.headway_port
    if port == 0:
        return valkey.free_port(host)
    if not wait_until(lambda: port_is_free(host, port), patience):
        raise LocalServiceError(f"Port {port} on {host} is in use: set HEADWAY_PORT to a free one (0 picks one).")
    return port


def port_is_free(host: str, port: int) -> bool:
    """Whether nobody listens there. Raises LocalServiceError for an address that is not this machine's."""
    try:
        socket.create_server((host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET).close()
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            return False
        raise LocalServiceError(
            f"HEADWAY_HOST={host}, HEADWAY_PORT={port} cannot be listened on: {error.strerror}"
        ) from None
    return True


def _answers(running: Running) -> bool:
    connection = http.client.HTTPConnection(reachable_host(running.host).strip("[]"), running.port, timeout=2)
    try:
        connection.request("GET", "/readyz")
        return connection.getresponse().status == http.HTTPStatus.OK
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def _tail(log: Path, lines: int = 15) -> str:
    with suppress(OSError):
        return "\n".join(log.read_text(errors="replace").splitlines()[-lines:])
    return "(empty)"


@contextmanager
def _interruptible() -> Iterator[Interrupts]:
    """Let SIGINT, SIGTERM and SIGHUP raise KeyboardInterrupt, also where a shell started us in the background."""
    names = [signal.SIGINT, signal.SIGTERM]
    if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:  # under nohup it stays ignored
        names.append(signal.SIGHUP)
    interrupts = Interrupts()
    before = {name: signal.signal(name, interrupts) for name in names}
    try:
        yield interrupts
    finally:
        for name, handler in before.items():
            signal.signal(name, handler)
