"""The services of docker-compose.yml as processes of this machine: names, ports and folders mapped, nothing else."""

# ruff: noqa: T201 (what it prints is what it is for)

from __future__ import annotations

import ctypes
import json
import os
import re
import shutil
import signal
import subprocess
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil

from headway.errors import HeadwayError
from headway.local import postgres, valkey
from headway.local.account import service_account
from headway.local.folders import prepare_data_dir, runtime_dir
from headway.local.manager import end_family
from headway.local.waiting import wait_until

ROOT = Path(__file__).parents[1]
BIN = ROOT / ".venv" / "bin"
FRONT, FRONT_PORT = "nginx", 8080
#: Where the images keep what lies in the checkout (see the Dockerfile).
IMAGE_FOLDERS = {
    "/etc/headway": ROOT / "nginx",
    "/usr/share/headway": ROOT / "frontend" / "dist",
    "/srv/headway": ROOT,
}
START_SECONDS, STOP_SECONDS = 90.0, 20.0
_NAMED_PORT = re.compile(r"\b([a-z][a-z0-9-]*):(\d{2,5})\b")
_PR_SET_PDEATHSIG = 1

Json = dict[str, Any]


class SmokeError(HeadwayError):
    """What did not work, and where to look."""


@dataclass
class Services:
    """One run: the resolved services, where their names and folders are here, and their processes."""

    folder: Path
    table: dict[str, Json]
    ports: dict[tuple[str, int], int] = field(default_factory=dict)
    processes: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name, service in self.table.items():
            for port in (each["target"] for each in service.get("ports", ())):
                self.ports[name, port] = valkey.free_port()
        for text in self._all_texts():
            for name, port in _NAMED_PORT.findall(text):
                if name in self.table:
                    self.ports.setdefault((name, int(port)), valkey.free_port())

    def _all_texts(self) -> Iterator[str]:
        for service in self.table.values():
            yield from map(str, service.get("environment", {}).values())

    @property
    def address(self) -> str:
        """Where port 80 would be."""
        return f"http://127.0.0.1:{self.ports[FRONT, FRONT_PORT]}"

    def log(self, name: str) -> Path:
        """What a service prints."""
        return self.folder / "logs" / f"{name}.log"

    def here(self, name: str, text: str) -> str:
        """A service's text with the addresses and folders of this machine."""
        for (other, port), ours in self.ports.items():
            text = re.sub(rf"\b{re.escape(other)}:{port}\b", f"127.0.0.1:{ours}", text)
            if other == name:
                text = re.sub(rf"\b{port}\b", str(ours), text)
        folders = self._folders(name)
        inside = "|".join(map(re.escape, folders))
        text = re.sub(rf"(?<![\w/])({inside})(?=/|\s|$)", lambda found: str(folders[found[1]]), text)
        return text.replace("0.0.0.0", "127.0.0.1").replace("$$", "$")

    def _folders(self, name: str) -> dict[str, Path]:
        service = self.table[name]
        volumes = {each["target"]: self.folder / "volumes" / each["source"] for each in service.get("volumes", ())}
        folders = {**IMAGE_FOLDERS, **volumes, "/tmp": self.folder / "tmp" / name}
        for folder in (*volumes.values(), folders["/tmp"]):
            folder.mkdir(parents=True, exist_ok=True)
        return folders

    def environment(self, name: str) -> dict[str, str]:
        """The service's own, and of ours only what a program needs to run at all."""
        own = {key: self.here(name, str(value)) for key, value in self.table[name].get("environment", {}).items()}
        path = os.pathsep.join([str(self.folder / "bin"), str(BIN), os.environ["PATH"]])
        # names are addresses here, and an nginx older than 1.27.3 knows nothing of looking them up again
        return {"LANG": "C.UTF-8", "HOME": str(self.folder), **own, "PATH": path, "NGINX_RESOLVER": ""}

    def start(self, name: str) -> None:
        """Start one service once what it depends on is as it asks."""
        for other, wanted in self.table[name].get("depends_on", {}).items():
            self._await(other, wanted["condition"])
        if name == "postgres":
            self._run(name, self._postgres())
        else:
            self._run(name, [self.here(name, part) for part in self.table[name]["command"]])

    def _await(self, name: str, condition: str) -> None:
        if condition == "service_completed_successfully":
            code = self.processes[name].wait(timeout=START_SECONDS)
            if code != 0:
                raise SmokeError(f"{name} ended with {code}:\n{self._tail(name)}")
        elif condition == "service_healthy":
            self.await_healthy(name)

    def await_healthy(self, name: str) -> None:
        """Wait until the service's own health check passes. Raises SmokeError when it does not in time."""
        check = self._check(name)
        if check and not wait_until(lambda: check() or not self._lives(name), START_SECONDS):
            raise SmokeError(f"{name} is not healthy after {START_SECONDS:.0f} s:\n{self._tail(name)}")
        if not self._lives(name):
            raise SmokeError(f"{name} ended:\n{self._tail(name)}")

    def _lives(self, name: str) -> bool:
        return self.processes[name].poll() is None

    def _check(self, name: str) -> Callable[[], bool] | None:
        if "healthcheck" not in self.table[name]:
            return None
        kind, *command = (self.here(name, part) for part in self.table[name]["healthcheck"]["test"])
        command = ["sh", "-c", *command] if kind == "CMD-SHELL" else command
        return lambda: subprocess.run(command, env=self.environment(name), capture_output=True).returncode == 0

    def _postgres(self) -> list[str]:
        """The embedded one with the options of the service's command, its password, and a port instead of a socket."""
        home = self._folders("postgres")["/var/lib/postgresql"]
        prepare_data_dir(home, service_account())
        password = home / "postgres.password"
        password.touch(mode=0o600)
        password.write_text(self.table["postgres"]["environment"]["POSTGRES_PASSWORD"])
        (home / "token").touch()  # what makes the folder Headway's own
        cluster = postgres.prepare_cluster(home, runtime_dir(home))
        _, *options = self.table["postgres"]["command"]
        listen = ["-c", "listen_addresses=127.0.0.1", "-c", f"port={self.ports['postgres', 5432]}"]
        return [*cluster.command, *options, *listen]

    def _run(self, name: str, command: list[str]) -> None:
        libc = ctypes.CDLL(None)
        with self.log(name).open("ab") as output:
            self.processes[name] = subprocess.Popen(
                command,
                env=self.environment(name),
                cwd=self.folder,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
                preexec_fn=lambda: libc.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0),
            )
        print(f"  {name}: {' '.join(self.table[name]['command'])[:100]}")

    def _tail(self, name: str, lines: int = 15) -> str:
        return "\n".join(self.log(name).read_text(errors="replace").splitlines()[-lines:])

    def stop(self) -> list[str]:
        """Stop in the opposite order, each within STOP_SECONDS; what had to be killed, or was left over."""
        stubborn: list[str] = []
        for name, process in reversed(self.processes.items()):
            family = psutil.Process(process.pid) if process.poll() is None else None
            process.send_signal(signal.SIGINT if name == "postgres" else signal.SIGTERM)
            try:
                process.wait(timeout=STOP_SECONDS)
            except subprocess.TimeoutExpired:
                stubborn.append(name)
            if family:
                end_family(family, 0)
        for child in psutil.Process().children(recursive=True):
            with suppress(psutil.ZombieProcess, psutil.NoSuchProcess):  # it has ended
                stubborn.append(" ".join(child.cmdline())[:100])
                child.kill()
        return stubborn


def resolved(folder: Path, environment: Mapping[str, str]) -> dict[str, Json]:
    """The services as Compose itself reads them, with `environment` as the .env file."""
    shutil.copy(ROOT / "docker-compose.yml", folder)
    (folder / ".env").write_text("".join(f"{name}={value}\n" for name, value in environment.items()))
    command = [BIN / "docker-compose", "--project-directory", folder, "config", "--format", "json"]
    done = subprocess.run(command, capture_output=True, text=True, env={"PATH": os.environ["PATH"]}, cwd=folder)
    if done.returncode != 0:
        raise SmokeError(f"docker-compose.yml cannot be read:\n{done.stderr}")
    services: dict[str, Json] = json.loads(done.stdout)["services"]
    return {name: services[name] for name in _in_order(services)}


def _in_order(services: Mapping[str, Json]) -> list[str]:
    ordered: list[str] = []

    def add(name: str) -> None:
        for other in services[name].get("depends_on", {}):
            add(other)
        if name not in ordered:
            ordered.append(name)

    for name in services:
        add(name)
    return ordered
