"""A running `headway cluster`, and clients of the SDK that follow a job through its nginx."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import psutil

from headway.local import valkey
from headway.local.cluster import find_nginx
from headway.local.folders import runtime_dir
from headway.local.installation import read_info
from headway.sdk.job_streams import MetricStream, Points
from headway.sdk.live import Live
from tests.installation import wait_until

INSTANCES = 3
TOKEN = "cluster-token"


_CLOCK_KIND = '''
import time
from headway.domain.plan import PhaseSpec
from headway.jobs.kind import Kind, KindConfig

class Config(KindConfig):
    """How long."""

    steps: int = 100
    step_seconds: float = 0.1

def run(config, job):
    with job.phase("working"):
        for step in job.track(range(1, config.steps + 1), unit="step"):
            job.stop_if_asked()
            time.sleep(config.step_seconds)
            job.log(step, logged_at=time.time())

KIND = Kind(name="test.clock", title="Clock", description="Logs the time.", queue="io", config=Config,
            phases=(PhaseSpec("working", "Working"),), run="test_clock_kind:run")
'''


@dataclass
class Cluster:
    """One running `headway cluster`."""

    process: subprocess.Popen[bytes]
    data_dir: Path
    url: str

    def client(self) -> httpx.Client:
        """An HTTP client that goes through nginx."""
        headers = {"Authorization": f"Bearer {TOKEN}"}
        return httpx.Client(base_url=self.url, headers=headers, timeout=60, trust_env=False)

    def instances(self) -> dict[int, psutil.Process]:
        """The API's processes by their port."""
        found: dict[int, psutil.Process] = {}
        for process in psutil.Process(self.process.pid).children(recursive=True):
            with suppress(psutil.Error):
                if process.cmdline()[-2:] == ["headway.cli.main", "api"]:
                    found[int(process.environ()["HEADWAY_PORT"])] = process
        return found

    def nginx(self) -> psutil.Process:
        """nginx's master."""
        return psutil.Process(int((self.data_dir / "run" / "nginx" / "nginx.pid").read_text()))

    def reload_nginx(self) -> None:
        """New workers of nginx take over."""
        before = set(self.nginx().children())
        self.nginx().send_signal(signal.SIGHUP)
        wait_until(lambda: set(self.nginx().children()) - before, what="new workers of nginx")

    def stop_redis(self) -> None:
        """End it as its host's shutdown would."""
        supervisorctl(self._control, "stop", "services:valkey").wait(timeout=90)

    def start_redis(self) -> float:
        """Start it again; when it first answered, on the monotonic clock."""
        starting = supervisorctl(self._control, "start", "services:valkey")
        running = read_info(self.data_dir)
        assert running is not None
        valkey.wait_ready(running.redis_url)
        answered_at = time.monotonic()
        starting.wait(timeout=90)
        return answered_at

    @property
    def _control(self) -> Path:
        return runtime_dir(self.data_dir) / "control.sock"


def supervisorctl(control: Path, *words: str) -> subprocess.Popen[bytes]:
    """Tell the cluster's process manager something."""
    command = [sys.executable, "-m", "supervisor.supervisorctl", "-s", f"unix://{control}", *words]
    return subprocess.Popen(command, stdout=subprocess.DEVNULL)


@contextmanager
def running_cluster(**settings: str) -> Iterator[Cluster]:
    """`headway cluster` in a folder of its own, with all instances ready; nothing is left of it."""
    find_nginx()
    with tempfile.TemporaryDirectory(prefix="hwk-", dir="/tmp", ignore_cleanup_errors=True) as folder:
        Path(folder).chmod(0o755)
        data_dir = Path(folder) / "data"
        own = {"HEADWAY_DATA_DIR": str(data_dir), "HEADWAY_PORT": "0", "HEADWAY_TOKEN": TOKEN, **settings}
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("HEADWAY_")}
        inherited["PYTHONPATH"] = str(lay_clock_kind(Path(folder) / "kinds"))
        log = Path(folder) / "cluster.log"
        with log.open("wb") as output:
            command = [sys.executable, "-m", "headway.cli.main", "cluster", "--instances", str(INSTANCES)]
            process = subprocess.Popen(command, env=inherited | own, stdout=output, stderr=output)
        try:
            wait_until(lambda: b"Ready" in log.read_bytes() or process.poll() is not None, what=log.name)
            running = read_info(data_dir)
            assert running is not None, log.read_text()
            cluster = Cluster(process, data_dir, running.url)
            wait_until(lambda: all_ready(cluster), what="every instance")
            yield cluster
        finally:
            stop(process)


def stop(process: subprocess.Popen[bytes]) -> None:
    """Have it end in order, if it has not yet."""
    process.send_signal(signal.SIGINT)
    process.wait(timeout=300)


def lay_clock_kind(folder: Path) -> Path:
    """A folder for PYTHONPATH with the kind `test.clock`, found as an installed package's would be."""
    metadata = folder / "test_clock_kind-1.dist-info"
    metadata.mkdir(parents=True)
    (folder / "test_clock_kind.py").write_text(_CLOCK_KIND)
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: test-clock-kind\nVersion: 1\n")
    (metadata / "entry_points.txt").write_text("[headway.kinds]\nclock = test_clock_kind:KIND\n")
    return folder


def all_ready(cluster: Cluster) -> bool:
    """Whether every instance answers for itself."""
    ports = list(cluster.instances())
    return len(ports) == INSTANCES and all(_ready(port) for port in ports)


def _ready(port: int) -> bool:
    try:
        return httpx.get(f"http://127.0.0.1:{port}/readyz", timeout=2, trust_env=False).status_code == 200
    except httpx.HTTPError:
        return False


@dataclass
class Follower:
    """One client of the SDK that follows a job's metrics through nginx: what it was told, and how it came."""

    live: Live
    steps: list[int] = field(default_factory=list[int])
    modes: set[str] = field(default_factory=set[str])
    over: bool = False

    async def run(self, job_id: str) -> None:
        """Follow to the job's end."""
        async with self.live:
            async for told in self.live.follow(MetricStream(job_id)):
                assert isinstance(told, Points), told
                self.modes.add(self.live.mode)
                self.steps.extend(step for series in told.series for step in series["steps"])
        self.over = True


@asynccontextmanager
async def following(cluster: Cluster, job_id: str, clients: int) -> AsyncIterator[list[Follower]]:
    """So many clients that follow a job for as long as the block lasts."""
    crowd = [Follower(Live(cluster.url, TOKEN)) for _ in range(clients)]
    tasks = [asyncio.create_task(client.run(job_id)) for client in crowd]
    try:
        yield crowd
    finally:
        for task in tasks:
            task.cancel()
        for result in await asyncio.gather(*tasks, return_exceptions=True):
            if isinstance(result, Exception):
                raise result


async def until(condition: Callable[[], Any], seconds: float, what: str, every: float = 0.02) -> None:
    """Wait beside the event loop until a condition holds."""
    await asyncio.to_thread(wait_until, condition, seconds, what, every)


def submit_clock(cluster: Cluster, steps: int, step_seconds: float) -> str:
    """Submit a job that logs a point every `step_seconds` and else sleeps; its id."""
    with cluster.client() as http:
        config = {"steps": steps, "step_seconds": step_seconds}
        answer = http.post("/api/v1/jobs", json={"kind": "test.clock", "config": config})
        assert answer.status_code == 201, answer.text
        return answer.json()["id"]


def cancel(cluster: Cluster, job_id: str) -> None:
    """Have the job end."""
    with cluster.client() as http:
        assert http.post(f"/api/v1/jobs/{job_id}/cancel").status_code == 200
