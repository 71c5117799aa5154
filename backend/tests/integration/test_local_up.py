"""`up` starts, stops, refuses, restarts and leaves nothing behind, with stand-ins for the API and the worker."""

from __future__ import annotations

import os
import signal
import socket
import stat
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import psutil
import pytest

from headway.errors import LocalServiceError
from headway.local.folders import prepare_data_dir, runtime_dir
from headway.local.installation import Running, read_info
from headway.local.valkey import free_port
from headway.local.waiting import wait_until

DRIVER = Path(__file__).with_name("up_driver.py")
BACKEND = Path(__file__).parents[2]
#: What an end may take here, where a few tests share two cores; what it takes alone is bench/up.py's.
STOP_SECONDS = 40


@dataclass
class Up:
    """One `up` under test."""

    process: subprocess.Popen[str]
    data_dir: Path
    family: list[psutil.Process]

    @property
    def info(self) -> Running:
        info = read_info(self.data_dir)
        assert info is not None
        return info

    def program(self, name: str) -> psutil.Process:
        """The managed process whose command line holds `name`."""
        return next(
            p for p in psutil.Process(self.process.pid).children(recursive=True) if name in " ".join(p.cmdline())
        )

    def without_job(self) -> Up:
        """The same but for the stand-in's job, which ends with nobody (a real one does)."""
        job = int((self.data_dir / "job.pid").read_text())
        return replace(self, family=[member for member in self.family if member.pid != job])

    def gone(self, seconds: float) -> bool:
        """Whether every process of it has ended within the time."""
        return wait_until(lambda: not [member for member in self.family if member.is_running()], seconds)


NOBODY = 65534, 65534
AS_NOBODY: Any = {"user": NOBODY[0], "group": NOBODY[1], "extra_groups": []}

Start = Callable[..., Up]


@contextmanager
def open_place() -> Iterator[Path]:
    """A folder that everybody may enter, for data directories."""
    with tempfile.TemporaryDirectory(prefix="hw-", dir="/tmp") as folder:
        Path(folder).chmod(0o755)
        yield Path(folder)


@contextmanager
def starter(place: Path, like: Path | None = None) -> Iterator[Start]:
    """What starts an `up` and waits until it is ready; all are killed at the end.

    With the database of `like`, a data directory whose `up` has ended: making one is most of a first start.
    """
    begun: list[Up] = []

    def start_one(name: str = "data", worker: str = "worker") -> Up:
        if like and not (place / name).exists():
            (place / name).mkdir()
            made = [path for path in like.iterdir() if path.name in ("bin", "headway.lock") or "postgres" in path.name]
            subprocess.run(["cp", "-a", *made, place / name], check=True)
        up = Up(launch(place / name, worker, HEADWAY_PORT=str(free_port())), place / name, [])
        begun.append(up)
        _await_ready(up.process)
        assert wait_until((up.data_dir / "job.pid").exists, STOP_SECONDS)
        up.family = [psutil.Process(up.process.pid), *psutil.Process(up.process.pid).children(recursive=True)]
        return up

    yield start_one
    for up in begun:
        up.process.kill()
        up.process.communicate(timeout=90)
        for member in filter(psutil.Process.is_running, up.family):
            member.kill()


def _await_ready(process: subprocess.Popen[str]) -> None:
    assert process.stdout is not None
    assert any(line.startswith("Ready") for line in process.stdout), process.stderr and process.stderr.read()


@pytest.fixture
def place() -> Iterator[Path]:
    with open_place() as folder:
        yield folder


@pytest.fixture(scope="module")
def made() -> Iterator[Path]:
    """The data directory of an `up` that was started once."""
    with open_place() as folder, starter(folder) as start_one:
        up = start_one()
        up.process.send_signal(signal.SIGINT)
        assert up.process.wait(timeout=STOP_SECONDS) == 0
        yield up.data_dir


@pytest.fixture
def start(place: Path, made: Path) -> Iterator[Start]:
    with starter(place, made) as start_one:
        yield start_one


@pytest.fixture(scope="module")
def lasting(made: Path) -> Iterator[Up]:
    """One `up` for all tests that let it live."""
    with open_place() as folder, starter(folder, made) as start_one:
        yield start_one()


def launch(data_dir: Path, worker: str = "worker", **environment: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, str(DRIVER), "up", worker],
        env={**os.environ, "HEADWAY_DATA_DIR": str(data_dir), **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_stops_everything_in_order(start: Start, sent: signal.Signals) -> None:
    up = start()
    assert mode(up.data_dir / "token") == mode(up.data_dir / "run" / "info.json") == 0o600
    up.process.send_signal(sent)
    assert up.process.wait(timeout=STOP_SECONDS) == 0
    assert up.gone(seconds=0)
    assert (up.data_dir / "stopped-in-order").exists()
    assert read_info(up.data_dir) is None
    assert not list(Path("/tmp").glob(runtime_dir(up.data_dir).name + "/*"))
    runtime_dir(up.data_dir).rmdir()


def test_an_interrupt_that_is_lost_in_a_finalizer_still_stops_everything(place: Path) -> None:
    process = launch(place / "data", HEADWAY_PORT=str(free_port()), LOSE_AN_INTERRUPT="yes")
    try:
        _, complaints = process.communicate(timeout=STOP_SECONDS)
    finally:
        process.kill()
    assert process.returncode == 0
    assert "Exception ignored" in complaints, "it was lost"


def test_the_next_start_has_the_token_of_the_first(start: Start) -> None:
    first = start()
    token = first.info.token
    first.process.send_signal(signal.SIGINT)
    first.process.wait(timeout=STOP_SECONDS)
    assert start().info.token == token


def test_a_second_up_on_the_same_data_directory_says_whose_it_is(lasting: Up) -> None:
    second = launch(lasting.data_dir, HEADWAY_PORT=str(free_port()))
    _, complaint = second.communicate(timeout=90)
    assert second.returncode == 1
    assert str(lasting.process.pid) in complaint
    assert lasting.info.url in complaint
    assert lasting.process.poll() is None


def test_two_installations_run_side_by_side(lasting: Up, start: Start) -> None:
    other = start()
    assert other.info.token != lasting.info.token
    assert other.info.redis_url != lasting.info.redis_url
    other.process.send_signal(signal.SIGINT)
    other.process.wait(timeout=STOP_SECONDS)
    assert all(member.is_running() for member in lasting.family)


def test_killing_up_leaves_no_process_and_the_next_one_starts(start: Start) -> None:
    up = start()
    up.process.kill()
    up.process.wait()
    assert up.without_job().gone(seconds=STOP_SECONDS)
    again = start()
    assert again.info.pid == again.process.pid


def test_killing_up_and_the_process_manager_together_leaves_no_service(start: Start) -> None:
    up = start()
    manager = up.program("headway.local.supervisord")
    up.process.kill()
    manager.kill()
    up.process.wait()
    assert up.without_job().gone(seconds=STOP_SECONDS)
    start()


def test_a_second_interrupt_kills_at_once_whatever_does_not_listen(start: Start) -> None:
    up = start(worker="stubborn-worker")
    up.process.send_signal(signal.SIGINT)
    assert not wait_until(lambda: up.process.poll() is not None, 1)
    up.process.send_signal(signal.SIGINT)
    assert up.process.wait(timeout=STOP_SECONDS) == 0  # the program itself has 60
    assert up.gone(seconds=0)


@pytest.mark.parametrize("name", ["bin/postgres -D", "valkey-server", "up_driver.py api"])
def test_a_killed_program_is_started_again(lasting: Up, name: str) -> None:
    before = lasting.program(name)
    before.kill()
    assert wait_until(lambda: _restarted(lasting, name, before), 15)


def _restarted(up: Up, name: str, before: psutil.Process) -> bool:
    try:
        return up.program(name).pid != before.pid
    except (StopIteration, psutil.Error):
        return False


def test_a_port_in_use_is_named(place: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        up = launch(place / "data", HEADWAY_PORT=port)
        _, complaint = up.communicate(timeout=90)
    assert up.returncode == 1
    assert port in complaint
    assert "HEADWAY_PORT" in complaint


def test_a_folder_with_other_things_is_left_alone(place: Path) -> None:
    (place / "precious.txt").touch()
    before = mode(place)
    with pytest.raises(LocalServiceError, match="other things"):
        prepare_data_dir(place)
    assert mode(place) == before


needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another account")


@needs_root
def test_root_is_told_when_the_service_account_cannot_reach_the_data_directory(place: Path) -> None:
    private = place / "private"
    private.mkdir(mode=0o700)
    with pytest.raises(LocalServiceError, match=f"{private}.*HEADWAY_DATA_DIR"):
        prepare_data_dir(private / "data", "nobody")
    assert mode(private) == 0o700


@needs_root
def test_an_unprivileged_user_needs_nothing_more(place: Path) -> None:
    packages = next(path for path in sys.path if path.endswith("site-packages"))
    environment = {"PATH": "/usr/bin:/bin", "PYTHONPATH": f"{BACKEND}:{packages}", "PYTHONDONTWRITEBYTECODE": "1"}
    python = next((p for p in (sys.executable, "/usr/bin/python3") if _runs_as_nobody(p, environment)), None)
    if python is None:
        pytest.skip("no Python here that the account nobody may execute and that has all packages")
    home = place / "home"
    home.mkdir()
    os.chown(home, *NOBODY)
    up = subprocess.Popen(
        [python, str(DRIVER), "up", "worker"],
        env=environment | {"HOME": str(home), "HEADWAY_PORT": str(free_port())},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd="/",
        **AS_NOBODY,
    )
    try:
        _await_ready(up)
        assert mode(home / ".local/share/headway") == 0o700
        up.send_signal(signal.SIGTERM)
        assert up.wait(timeout=STOP_SECONDS) == 0
    finally:
        up.kill()
        up.communicate(timeout=90)


def _runs_as_nobody(python: str, environment: dict[str, str]) -> bool:
    command = [python, "-c", "import headway.settings, psutil, psycopg, redis, sqlalchemy, supervisor"]
    try:
        done = subprocess.run(command, env=environment, cwd="/", timeout=60, capture_output=True, **AS_NOBODY)
    except OSError:
        return False
    return done.returncode == 0
