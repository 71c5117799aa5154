"""`python up_driver.py up`: `headway up` with stand-ins: one answers HTTP, one has a job in a session of its own."""

from __future__ import annotations

import http.server
import os
import signal
import subprocess
import sys
from pathlib import Path

from headway.errors import HeadwayError
from headway.local.programs import Program
from headway.local.up import started
from headway.parent_death import end_with_parent
from headway.settings import load_settings


class Yes(http.server.BaseHTTPRequestHandler):
    """Answers 200 to everything."""

    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()


def api() -> None:
    address = ("127.0.0.1", int(os.environ["HEADWAY_PORT"]))
    http.server.ThreadingHTTPServer(address, Yes).serve_forever()


def worker(*, stubborn: bool) -> None:
    def stop(*_: object) -> None:
        Path("stopped-in-order").touch()
        sys.exit(0)

    signal.signal(signal.SIGTERM, signal.SIG_IGN if stubborn else stop)
    job = subprocess.Popen(["sleep", "1000"], start_new_session=True)
    Path("job.pid").write_text(str(job.pid))
    job.wait()


class Loses:
    """Its finalizer is interrupted, and what is raised in a finalizer goes nowhere."""

    def __del__(self) -> None:
        signal.raise_signal(signal.SIGINT)


def say(line: str) -> None:
    print(line, flush=True)
    if line.startswith("Ready") and "LOSE_AN_INTERRUPT" in os.environ:
        Loses()


def up(worker_role: str) -> int:
    programs = [
        Program("api", [sys.executable, __file__, "api"], serves=True),
        Program("worker-jobs", [sys.executable, __file__, worker_role], stop_seconds=60),
    ]
    try:
        with started(load_settings(), say, programs) as installation:
            installation.watch()
    except KeyboardInterrupt:
        return 0
    except HeadwayError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


def main(role: str) -> None:
    if role == "up":
        sys.exit(up(sys.argv[2]))
    end_with_parent()
    if role == "api":
        api()
    else:
        worker(stubborn=role == "stubborn-worker")


if __name__ == "__main__":
    main(sys.argv[1])
