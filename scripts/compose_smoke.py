"""Runs docker-compose.yml without containers, and a small study through what stands for its port 80; 0 if it completes.

Every service's own command runs as a process here with the service's own environment, in the order and under the
conditions of `depends_on`, with its own health check. What a container would give is mapped: names and ports to
loopback, volumes and /tmp to a temporary folder, the images' programs to those of this machine (embedded Postgres and
Valkey, the installed nginx). What only an engine can do, limits and isolation, is not tried. Nothing is left behind.
"""

# ruff: noqa: T201 (what it prints is what it is for)

from __future__ import annotations

import secrets
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx

sys.path.insert(0, str(Path(__file__).parents[1] / "backend"))

from compose_here import Json, Services, SmokeError, resolved

from headway.errors import HeadwayError
from headway.local import postgres, valkey
from headway.local.cluster import find_nginx
from headway.local.folders import runtime_dir
from headway.local.manager import adopt_orphans
from headway.local.waiting import wait_until
from tests.acceptance.studies import STUDY

STUDY_SECONDS = 240.0


def lend_programs(folder: Path) -> None:
    """The programs of the images under their names: Valkey with its client's `ping`, Postgres' `pg_isready`, nginx."""
    folder.mkdir()
    (folder / "valkey-server").symlink_to(valkey.find_binary())
    (folder / "pg_isready").symlink_to(postgres.installed_binaries() / "pg_isready")
    (folder / "nginx").symlink_to(find_nginx())
    client = folder / "valkey-cli"
    client.write_text(
        f"#!{sys.executable}\nimport os, sys, redis\n"
        "port, *command = sys.argv[2:]\n"
        "client = redis.Redis(port=int(port), password=os.environ['REDISCLI_AUTH'], socket_timeout=2)\n"
        "print('PONG' if client.execute_command(*command) in (True, b'PONG') else 'NO')\n"
    )
    client.chmod(0o755)


def run_study(address: str, token: str) -> None:
    """Submit the small study through nginx and wait for its end. Raises SmokeError when a job does not complete."""
    with httpx.Client(base_url=address, headers={"Authorization": f"Bearer {token}"}, timeout=20) as client:
        page = client.get("/")
        if page.status_code != 200 or "Headway" not in page.text:
            raise SmokeError(f"The dashboard does not come through nginx: {page.status_code}")
        study = client.post("/api/v1/studies", json=STUDY).raise_for_status().json()["id"]
        jobs: list[Json] = []

        def over() -> bool:
            jobs[:] = client.get(f"/api/v1/studies/{study}").raise_for_status().json()["jobs"]
            return all(job["state"] == "completed" for job in jobs) or any(job["error"] for job in jobs)

        done = wait_until(over, STUDY_SECONDS)
        for job in jobs:
            print(f"  {job['kind']}: {job['state']}, {job['percent']:g} %")
        if not done or any(job["state"] != "completed" for job in jobs):
            raise SmokeError(
                f"The study did not complete: {[job['error'] for job in jobs if job['error']] or 'no end'}"
            )


@contextmanager
def prepared() -> Iterator[Services]:
    """A run in a temporary folder; everything is stopped and removed at the end. Raises SmokeError for what is left."""
    folder = Path(tempfile.mkdtemp(prefix="hwc-", dir="/tmp"))
    folder.chmod(0o711)  # for the account that runs Postgres
    (folder / "logs").mkdir()
    lend_programs(folder / "bin")
    needed = ("POSTGRES_PASSWORD", "REDIS_PASSWORD", "HEADWAY_TOKEN")
    services = Services(folder, resolved(folder, {name: secrets.token_hex(16) for name in needed}))
    try:
        yield services
        left = services.stop()
        if left:
            raise SmokeError(f"Did not end by themselves: {left}")
    finally:
        services.stop()
        shutil.rmtree(runtime_dir(folder / "volumes" / "postgres"), ignore_errors=True)
        shutil.rmtree(folder, ignore_errors=True)


def main() -> int:
    """Run it all."""
    adopt_orphans()
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    began = time.monotonic()
    try:
        with prepared() as services:
            print("Services of docker-compose.yml, in order:")
            for name in services.table:
                services.start(name)
            for name in services.table:
                if name != "migrate":
                    services.await_healthy(name)
            print(f"All stand after {time.monotonic() - began:.0f} s at {services.address}. A study:")
            run_study(services.address, services.table["api-1"]["environment"]["HEADWAY_TOKEN"])
    except (HeadwayError, httpx.HTTPError) as error:
        print(f"FAILED: {error}", file=sys.stderr)
        return 1
    print(f"compose-smoke passed in {time.monotonic() - began:.0f} s; no process is left.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
