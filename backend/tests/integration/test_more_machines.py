"""Hosts with data directories of their own: what one lacks comes from another, verified, or from a shared folder."""

from __future__ import annotations

import os
import shutil
import socket
import threading
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from headway.errors import PullError
from headway.services.control_job import cancel_job, pause_job, resume_job
from headway.services.locate_files import attempt_folder, pulled_folder
from headway.services.sweep_host import sweep_host
from headway.storage.ids import new_id
from headway.workers.pull import Wanted, pull
from tests.installation import Installation, open_installation, wait_until
from tests.machines import TOKEN, Machine, machine

LONG = {"steps": 100_000, "step_seconds": 0.001, "rest_seconds": 0.01, "inner": 4, "checkpoint_every": 20}


@pytest.fixture(scope="module")
def installation(postgres_url: str, redis_url: str) -> Iterator[Installation]:
    with open_installation(postgres_url, redis_url) as opened:
        opened.start_worker("system", beat=True, HEADWAY_HOST_NAME="beech")
        yield opened


@pytest.fixture(scope="module")
def machines(installation: Installation, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Machine, Machine]]:
    with ExitStack() as stack:
        made = [
            stack.enter_context(machine(installation, name, tmp_path_factory.mktemp(name)))
            for name in ("alder", "birch")
        ]
        yield made[0], made[1]


def make_artifact(installation: Installation, maker: Machine, files: dict[str, bytes]) -> str:
    """A ready artifact as a job leaves it."""
    artifact_id = new_id()
    folder = maker.data_dir / "artifacts" / artifact_id
    for path, content in files.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(content)
    installation.query(
        "INSERT INTO artifacts (id, type, name, output, state, host, path, bytes) "
        "VALUES (%s, 'model', 'm', 'model', 'ready', %s, %s, %s)",
        artifact_id, maker.name, str(folder), sum(map(len, files.values())),
    )  # fmt: skip
    return artifact_id


FILES = {"weights/a.bin": bytes(range(256)) * 12_000, "config.json": b"{}", "empty": b""}


class CuttingProxy:
    """Stands before a server and cuts each of the first connections after some bytes of the answer."""

    def __init__(self, port: int, cuts: int, after: int) -> None:
        self._upstream, self._cuts, self._after = port, cuts, after
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._socket.getsockname()[1]}"
        self.ranges: list[str] = []
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        while True:
            try:
                client, _ = self._socket.accept()
            except OSError:
                return
            threading.Thread(target=self._relay, args=[client], daemon=True).start()

    def _relay(self, client: socket.socket) -> None:
        with client, socket.create_connection(("127.0.0.1", self._upstream)) as server:
            while request := client.recv(65_536):
                self.ranges += [line for line in request.decode().splitlines() if line.lower().startswith("range")]
                # one answer a connection: the server closes it when it is whole
                server.sendall(request.replace(b"Connection: keep-alive", b"Connection: close"))
                is_file = b"/file?" in request
                sent = 0
                while answer := server.recv(65_536):
                    client.sendall(answer)
                    sent += len(answer)
                    if is_file and self._cuts and sent > self._after:
                        self._cuts -= 1
                        return
                return

    def close(self) -> None:
        self._socket.close()


def test_pull_goes_on_where_the_connection_broke_and_verifies_every_file(
    installation: Installation, machines: tuple[Machine, Machine], tmp_path: Path
) -> None:
    alder, _ = machines
    artifact_id = make_artifact(installation, alder, FILES)
    proxy = CuttingProxy(int(alder.server.url.rpartition(":")[2]), cuts=2, after=1_000_000)
    try:
        target = tmp_path / "copy"
        size = pull(Wanted(proxy.url, f"artifacts/{artifact_id}", target), TOKEN, lambda: None)
    finally:
        proxy.close()
    assert {path: (target / path).read_bytes() for path in FILES} == FILES
    assert size == sum(map(len, FILES.values()))
    assert proxy.ranges  # gone on with, not begun anew
    assert not list(tmp_path.glob(".*"))


def test_what_a_pull_left_is_gone_on_with_and_what_is_damaged_is_fetched_anew(
    installation: Installation, machines: tuple[Machine, Machine], tmp_path: Path
) -> None:
    alder, _ = machines
    artifact_id = make_artifact(installation, alder, FILES)
    left = tmp_path / ".copy.partial"
    (left / "weights").mkdir(parents=True)
    (left / "weights/a.bin").write_bytes(b"x" * 1000)  # not what it should be
    pull(Wanted(alder.server.url, f"artifacts/{artifact_id}", tmp_path / "copy"), TOKEN, lambda: None)
    assert (tmp_path / "copy/weights/a.bin").read_bytes() == FILES["weights/a.bin"]
    # the checksums are those of when it was first asked for: what rots on its host is not handed on
    (alder.data_dir / "artifacts" / artifact_id / "config.json").write_bytes(b"[]")
    with pytest.raises(PullError, match="checksum"):
        pull(Wanted(alder.server.url, f"artifacts/{artifact_id}", tmp_path / "other"), TOKEN, lambda: None)
    assert not (tmp_path / "other").exists()


def test_api_says_where_an_artifact_of_another_host_lies_and_leads_nobody_out_of_it(
    installation: Installation, machines: tuple[Machine, Machine]
) -> None:
    alder, birch = machines
    artifact_id = make_artifact(installation, alder, FILES)
    with birch.server.client() as client:
        answer = client.get(f"/api/v1/artifacts/{artifact_id}/files")
        assert (answer.status_code, alder.server.url in answer.json()["detail"]) == (404, True)
    with alder.server.client() as client:
        answer = client.get(f"/api/v1/artifacts/{artifact_id}/file", params={"path": "../../token"})
        assert (answer.status_code, answer.json()["errors"][0]["field"]) == (422, "path")
        part = client.get(
            f"/api/v1/artifacts/{artifact_id}/file", params={"path": "weights/a.bin"}, headers={"Range": "bytes=2-4"}
        )
        assert (part.status_code, part.content) == (206, b"\x02\x03\x04")
    with alder.server.client(token="") as client:
        assert client.get(f"/api/v1/artifacts/{artifact_id}/files").status_code == 401


def losses(installation: Installation, job_id: str) -> list[tuple[Any, ...]]:
    statement = """SELECT DISTINCT m.step, m.value FROM training_metrics m JOIN jobs j ON j.key = m.job
                   WHERE j.id = %s ORDER BY m.step"""
    return installation.query(statement, job_id)


def test_paused_job_goes_on_at_another_host_with_its_checkpoint_and_the_same_values(
    installation: Installation, machines: tuple[Machine, Machine]
) -> None:
    alder, birch = machines
    first = installation.start_worker("cpu", **alder.environment)
    config = {"steps": 300, "step_seconds": 0.001, "rest_seconds": 0.005, "checkpoint_every": 20, "metrics": 1}
    job_id = installation.submit(config=config)
    reference = installation.submit(config=config)
    installation.wait(job_id, lambda job: (job.step or 0) > 60)
    pause_job(installation.engine, installation.runtime.signals, job_id)
    installation.wait_state(job_id, "paused")
    installation.wait_state(reference, "completed")
    installation.kill_worker(first)
    second = installation.start_worker("cpu", **birch.environment)
    resume_job(installation.engine, installation.runtime.signals, job_id)
    installation.wait_state(job_id, "completed")
    attempts = installation.query(
        "SELECT host, resumed_from_step FROM attempts WHERE job_id = %s ORDER BY number", job_id
    )
    assert [host for host, _ in attempts] == ["alder", "birch"]
    assert attempts[1][1] >= 60
    assert losses(installation, job_id) == losses(installation, reference)
    # a token is made for each pull, and gone after it
    assert installation.query("SELECT name FROM tokens") == []
    installation.kill_worker(second)


def test_checkpoint_whose_host_is_gone_is_found_in_the_shared_folder(
    installation: Installation, machines: tuple[Machine, Machine], tmp_path: Path
) -> None:
    _, birch = machines
    lost, shared = tmp_path / "lost", tmp_path / "shared"
    sharing = {"HEADWAY_SHARED_DIR": str(shared)}
    worker = installation.start_worker("cpu", HEADWAY_HOST_NAME="cedar", HEADWAY_DATA_DIR=str(lost), **sharing)
    job_id = installation.submit(config=LONG)

    def known_and_shared() -> bool:
        # what its host had not yet told Postgres is lost with the host: the attempt goes on from what both know
        known = installation.query("SELECT path FROM checkpoints WHERE job_id = %s", job_id)
        return any((shared / "jobs" / job_id / "1" / path).exists() for (path,) in known)

    wait_until(known_and_shared, what="a shared checkpoint that Postgres knows")
    installation.kill_worker(worker)
    shutil.rmtree(lost)  # the machine is gone with its disk
    second = installation.start_worker("cpu", **birch.environment, **sharing)
    installation.wait(job_id, lambda job: job.attempt == 2 and (job.environment or {}).get("host") == "birch")
    resumed = installation.query(
        "SELECT host, resumed_from_step FROM attempts WHERE job_id = %s AND number = 2", job_id
    )
    assert resumed[0][0] == "birch"
    assert resumed[0][1] >= 20
    assert len(list(shared.glob(f"jobs/{job_id}/1/checkpoints/step-*"))) <= 3, "pruned as on the host"
    cancel_job(installation.engine, installation.runtime.signals, job_id)
    installation.wait_state(job_id, "cancelled")
    installation.kill_worker(second)


def test_input_that_no_host_sends_is_waited_for_and_said(
    installation: Installation, machines: tuple[Machine, Machine], tmp_path: Path
) -> None:
    alder, birch = machines
    artifact_id = make_artifact(installation, alder, FILES)
    job_id = installation.submit(config=LONG)
    pause_job(installation.engine, installation.runtime.signals, job_id)
    installation.query("UPDATE artifacts SET host = 'nowhere' WHERE id = %s", artifact_id)
    installation.query(
        "INSERT INTO job_inputs (job_id, field, artifact_id) VALUES (%s, 'model', %s)", job_id, artifact_id
    )
    worker = installation.start_worker("cpu", **birch.environment)
    resume_job(installation.engine, installation.runtime.signals, job_id)
    job = installation.wait(job_id, lambda job: job.state == "queued" and job.error)
    assert job.error is not None
    assert (job.error.failure_class, "nowhere" in job.error.message) == ("NETWORK", True)
    installation.query("UPDATE artifacts SET host = 'alder' WHERE id = %s", artifact_id)
    installation.wait_state(job_id, "running")
    wait_until(lambda: pulled_folder(birch.data_dir, artifact_id).is_dir(), what="the copy")
    wait_until(lambda: attempt_folder(birch.data_dir, job_id, 2).is_dir(), what="the attempt")
    cancel_job(installation.engine, installation.runtime.signals, job_id)
    installation.wait_state(job_id, "cancelled")
    installation.kill_worker(worker)


def test_each_host_sweeps_what_nobody_names_any_more_and_nothing_else(
    installation: Installation, machines: tuple[Machine, Machine], tmp_path: Path
) -> None:
    alder, _ = machines
    settings = alder.server.settings.model_copy(
        update={"headway_data_dir": tmp_path / "d", "headway_shared_dir": tmp_path / "s"}
    )
    wanted, unused, new = (make_artifact(installation, alder, {}) for _ in range(3))
    over, waiting = installation.submit(config=LONG), installation.submit(config=LONG)
    cancel_job(installation.engine, installation.runtime.signals, over)
    installation.query("INSERT INTO job_inputs (job_id, field, artifact_id) VALUES (%s, 'model', %s)", waiting, wanted)
    old = ["d/jobs/deleted", f"d/jobs/{over}", f"d/pulled/{wanted}", f"d/pulled/{unused}", f"s/jobs/{waiting}"]
    fresh = ["d/jobs/justnow", f"d/pulled/{new}", "s/jobs/of-others", f"s/jobs/{over}"]
    for name in (*old, *fresh):
        (tmp_path / name).mkdir(parents=True)
    for name in old:
        os.utime(tmp_path / name, (0, 0))
    gone = {str(folder.relative_to(tmp_path)) for folder in sweep_host(installation.engine, settings)}
    assert gone == {"d/jobs/deleted", f"d/pulled/{unused}", f"s/jobs/{over}"}
    assert all((tmp_path / name).exists() != (name in gone) for name in (*old, *fresh))
    cancel_job(installation.engine, installation.runtime.signals, waiting)
