"""A running `headway cluster`, and many cheap clients that follow a job through its nginx by the SDK's own streams."""

from __future__ import annotations

import asyncio
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any

import aiohttp
import httpx
import psutil
from socketio.exceptions import SocketIOError

from headway.errors import UnavailableError
from headway.local import valkey
from headway.local.cluster import find_nginx
from headway.local.folders import runtime_dir
from headway.local.installation import read_info
from headway.sdk.channels import Channels
from headway.sdk.follow import follow
from headway.sdk.job_streams import MetricStream, Points
from tests.installation import wait_until

INSTANCES = 3
RECONNECT_SECONDS = (0.1, 0.2)
ANSWER_SECONDS = 10.0
TOKEN = "cluster-token"
EVENT, ACK = "42", "43"


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
            time.sleep(config.step_seconds)
            job.log(step, logged_at=time.time())

KIND = Kind(name="test.clock", title="Clock", description="Logs the time.", queue="cpu", config=Config,
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
        return httpx.Client(base_url=self.url, headers=headers, timeout=20, trust_env=False)

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

    def restart_redis(self, away_seconds: float) -> float:
        """Stop it, and start it again after a while; when it answered, on the monotonic clock."""
        process = next(
            each for each in psutil.Process(self.process.pid).children(recursive=True) if each.name() == "valkey-server"
        )
        control = runtime_dir(self.data_dir) / "control.sock"
        supervisorctl(control, "stop", "services:valkey")
        assert not process.is_running()
        time.sleep(away_seconds)
        supervisorctl(control, "start", "services:valkey")
        running = read_info(self.data_dir)
        assert running is not None
        valkey.wait_ready(running.redis_url)
        return time.monotonic()


def supervisorctl(control: Path, *words: str) -> None:
    """Tell the cluster's process manager something."""
    command = [sys.executable, "-m", "supervisor.supervisorctl", "-s", f"unix://{control}", *words]
    subprocess.run(command, check=True, capture_output=True, timeout=30)


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
            process.send_signal(signal.SIGINT)
            process.wait(timeout=60)


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
class LoadClient:
    """A client at the cost of a WebSocket: Socket.IO's frames by hand; what it makes of them is the SDK's."""

    session: aiohttp.ClientSession
    url: str
    job_id: str
    steps: list[int] = field(default_factory=list[int])
    #: Seconds from the loss of the socket to the next new point that came in.
    away: list[float] = field(default_factory=list[float])
    #: When it was last signed in, on the monotonic clock.
    opened_at: float = 0.0
    polled: int = 0
    over: bool = False

    def __post_init__(self) -> None:
        self.channels = Channels(self._call)
        self._numbers = count(1)
        self._asked: dict[int, asyncio.Future[Any]] = {}
        self._socket: aiohttp.ClientWebSocketResponse | None = None
        self._lost_at: float | None = None

    async def run(self) -> None:
        """Follow the job's metrics to its end."""
        connecting = asyncio.create_task(self._stay_connected())
        try:
            async for told in follow(self, MetricStream(self.job_id)):
                assert isinstance(told, Points), told
                self.steps.extend(step for series in told.series for step in series["steps"])
                if self._lost_at is not None:
                    self.away.append(time.monotonic() - self._lost_at)
                    self._lost_at = None
            self.over = True
        finally:
            connecting.cancel()
            await asyncio.gather(connecting, return_exceptions=True)
            await self.channels.close()

    async def get(self, path: str, **query: Any) -> Any:
        """GET below /api/v1, as the SDK's client does."""
        self.polled += not self.channels.connected
        given = {name: str(value) for name, value in query.items() if value is not None}
        try:
            async with self.session.get(f"{self.url}/api/v1{path}", params=given) as response:
                response.raise_for_status()
                return await response.json()
        except (aiohttp.ClientError, TimeoutError) as error:
            raise UnavailableError(str(error)) from None

    async def _stay_connected(self) -> None:
        while True:
            with suppress(aiohttp.ClientError, TimeoutError, OSError):
                address = f"{self.url.replace('http', 'ws', 1)}/socket.io/?EIO=4&transport=websocket"
                async with self.session.ws_connect(address, compress=0) as self._socket:
                    await self._listen(self._socket)
            if self.channels.connected:
                self._lost_at = self._lost_at or time.monotonic()
                self.channels.lose()
            for asked in self._asked.values():
                asked.cancel()
            self._asked.clear()
            await asyncio.sleep(random.uniform(*RECONNECT_SECONDS))

    async def _listen(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        async for message in socket:
            text = str(message.data)
            if text.startswith(EVENT):
                self.channels.receive(json.loads(text[2:])[1])
            elif text.startswith(ACK):
                number, _, answer = text[2:].partition("[")
                if asked := self._asked.pop(int(number), None):
                    asked.set_result(json.loads("[" + answer)[0])
            elif text == "2":
                await socket.send_str("3")
            elif text.startswith("0"):
                await socket.send_str("40" + json.dumps({"token": TOKEN}))
            elif text.startswith("40"):
                self.opened_at = time.monotonic()
                self.channels.open()

    async def _call(self, event: str, data: dict[str, Any]) -> dict[str, Any]:
        number = next(self._numbers)
        asked = self._asked[number] = asyncio.get_running_loop().create_future()
        try:
            assert self._socket is not None
            await self._socket.send_str(f"{EVENT}{number}{json.dumps([event, data])}")
            async with asyncio.timeout(ANSWER_SECONDS):
                return await asked
        except asyncio.CancelledError:
            if asked.cancelled():
                raise SocketIOError("the connection was lost") from None
            raise
        except (TimeoutError, ConnectionError) as error:
            raise SocketIOError(str(error)) from None


@asynccontextmanager
async def following(cluster: Cluster, job_id: str, clients: int) -> AsyncIterator[list[LoadClient]]:
    """So many clients that follow a job for as long as the block lasts."""
    headers = {"Authorization": f"Bearer {TOKEN}"}
    connector = aiohttp.TCPConnector(limit=0)
    async with aiohttp.ClientSession(headers=headers, connector=connector) as session:
        crowd = [LoadClient(session, cluster.url, job_id) for _ in range(clients)]
        tasks = [asyncio.create_task(client.run()) for client in crowd]
        try:
            yield crowd
        finally:
            for task in tasks:
                task.cancel()
            for result in await asyncio.gather(*tasks, return_exceptions=True):
                if isinstance(result, Exception):
                    raise result


async def until(condition: Callable[[], Any], seconds: float, what: str) -> None:
    """Wait beside the event loop until a condition holds."""
    await asyncio.to_thread(wait_until, condition, seconds, what)


def submit_clock(cluster: Cluster, steps: int, step_seconds: float) -> str:
    """Submit a job that logs a point every `step_seconds` and else sleeps; its id."""
    with cluster.client() as http:
        config = {"steps": steps, "step_seconds": step_seconds}
        answer = http.post("/api/v1/jobs", json={"kind": "test.clock", "config": config})
        assert answer.status_code == 201, answer.text
        return answer.json()["id"]
