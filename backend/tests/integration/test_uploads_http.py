"""Uploads over real HTTP: in parts, gone on with where they were cut, refused before they cost anything."""

from __future__ import annotations

import hashlib
import os
import socket
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest

from headway.services.receive_upload import sweep_uploads
from headway.services.sweep_host import sweep_host
from headway.workers.pull import Wanted, pull
from tests.installation import Installation, open_installation, wait_until
from tests.integration.api_server import Server, make_settings, serving
from tests.machines import TOKEN, machine

TEXT = "".join(f"the cat sat {n} times\n" for n in range(9))
OPERATOR, VIEWER = {"name": "o", "role": "operator"}, {"name": "v", "role": "viewer"}


@pytest.fixture(scope="module")
def installation(postgres_url: str, redis_url: str) -> Iterator[Installation]:
    with open_installation(postgres_url, redis_url) as opened:
        yield opened


def announce(http: httpx.Client, files: dict[str, bytes], type: str = "dataset", **more: Any) -> httpx.Response:
    listed = [{"path": path, "bytes": len(content), "sha256": sha256(content)} for path, content in files.items()]
    return http.post("/api/v1/uploads", json={"type": type, "files": listed} | more)


def begin(http: httpx.Client, files: dict[str, bytes], **more: Any) -> str:
    answer = announce(http, files, **more)
    assert answer.status_code == 201, answer.text
    return answer.json()["id"]


def put(http: httpx.Client, upload: str, path: str, content: Any, offset: int = 0) -> httpx.Response:
    return http.put(f"/api/v1/uploads/{upload}/file", params={"path": path, "offset": offset}, content=content)


def finish(http: httpx.Client, upload: str) -> httpx.Response:
    return http.post(f"/api/v1/uploads/{upload}/finish", json={})


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def folder_of(settings: Any, upload: str) -> Path:
    return settings.headway_data_dir / "uploads" / upload


def fields(answer: httpx.Response) -> dict[str, str]:
    assert answer.status_code == 422, answer.text
    return {each["field"]: each["message"] for each in answer.json()["errors"]}


def test_files_become_an_artifact_whose_sums_are_known_and_that_a_job_takes(
    installation: Installation, server: Server, http: httpx.Client
) -> None:
    files = {"set/cats.txt": TEXT.encode(), "set/empty.txt": b""}
    upload = begin(http, files, name="Cats")
    assert http.get("/api/v1/artifacts", params={"state": "pending"}).json()["items"][0]["id"] == upload
    early = http.post("/api/v1/jobs", json={"kind": "dataset.dedupe", "config": {"dataset": f"artifact:{upload}"}})
    assert "is still being uploaded" in fields(early)["config.dataset"]
    half = len(TEXT) // 2
    assert put(http, upload, "set/cats.txt", TEXT[:half]).json()["received"] == half
    missing = finish(http, upload)
    assert (missing.status_code, f"{half} of {len(TEXT)} bytes" in missing.json()["detail"]) == (409, True)
    assert put(http, upload, "set/cats.txt", TEXT[half:], half).json()["received"] == len(TEXT)
    artifact = finish(http, upload).json()
    assert (artifact["state"], artifact["type"], artifact["name"]) == ("ready", "dataset", "Cats")
    assert artifact["bytes"] == len(TEXT)
    assert finish(http, upload).json() == artifact
    assert http.get(f"/api/v1/uploads/{upload}").json()["state"] == "ready"
    listed = {each["path"]: each["sha256"] for each in http.get(f"/api/v1/artifacts/{upload}/files").json()["items"]}
    assert listed == {path: sha256(content) for path, content in files.items()}
    assert not folder_of(server.settings, upload).exists()
    job = http.post("/api/v1/jobs", json={"kind": "dataset.dedupe", "config": {"dataset": f"artifact:{upload}"}})
    assert (job.status_code, job.json()["state"]) == (201, "queued")
    assert http.delete(f"/api/v1/uploads/{upload}").status_code == 409


def test_what_cannot_be_taken_is_refused_before_a_byte_is_sent(
    server: Server, http: httpx.Client, installation: Installation
) -> None:
    names = ["../a.txt", "/etc/a.txt", "a//b.txt", "a\\b.txt", "a\nb.txt", "x" * 256 + ".txt", "./a.txt"]
    before = installation.query("SELECT count(*) FROM artifacts")
    wrong = fields(announce(http, dict.fromkeys([*names, "weights.bin"], b"1")))
    assert list(wrong) == [f"files.{number}.path" for number in range(len(names) + 1)]
    assert "weights.bin is no file of a dataset: it takes" in wrong["files.7.path"]
    assert "files" in fields(announce(http, {"a.txt": b"", "a.txt/b.txt": b""}))
    twice = [{"path": "a.txt", "bytes": 1}, {"path": "a.txt", "bytes": 1}]
    assert "twice" in fields(http.post("/api/v1/uploads", json={"type": "dataset", "files": twice}))["files.1.path"]
    assert "made by jobs" in fields(announce(http, {"a.txt": b""}, type="tokens"))["type"]
    assert "pytorch_model.bin" in fields(announce(http, {"pytorch_model.bin": b"1"}, type="model"))["files.0.path"]
    large = http.post("/api/v1/uploads", json={"type": "dataset", "files": [{"path": "a.txt", "bytes": 1 << 40}]})
    assert large.status_code == 413
    assert "HEADWAY_MAX_UPLOAD_GB" in large.json()["detail"]
    assert installation.query("SELECT count(*) FROM artifacts") == before
    assert not (server.settings.headway_data_dir / "uploads").exists() or not list(
        (server.settings.headway_data_dir / "uploads").iterdir()
    )


def test_only_who_may_run_jobs_may_upload(server: Server, http: httpx.Client) -> None:
    tokens = [http.post("/api/v1/tokens", json=each).json()["token"] for each in (OPERATOR, VIEWER)]
    answers = []
    for token in tokens:
        with server.client(token) as client:
            answers.append(announce(client, {"a.txt": b"1"}).status_code)
    assert answers == [201, 403]


def test_an_upload_cut_in_the_middle_goes_on_where_it_was(server: Server, http: httpx.Client) -> None:
    content = os.urandom(5 << 20)
    upload = begin(http, {"all.jsonl": content})
    address = urlsplit(server.url)
    with socket.create_connection((address.hostname, address.port), timeout=90) as raw:
        raw.sendall(
            f"PUT /api/v1/uploads/{upload}/file?path=all.jsonl&offset=0 HTTP/1.1\r\nHost: {address.netloc}\r\n"
            f"Authorization: Bearer {server.token}\r\nContent-Length: {len(content)}\r\n\r\n".encode()
            + content[: 3 << 20]
        )
        file = folder_of(server.settings, upload) / "all.jsonl"
        wait_until(lambda: file.exists() and file.stat().st_size > 1 << 20, what="the first bytes on the disk")
        # while it is being sent, nobody else writes to it
        busy = put(http, upload, "all.jsonl", b"x", file.stat().st_size)
        assert busy.status_code in (409, 503), busy.text
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")  # cut by RST

    def go_on() -> bool:
        received = http.get(f"/api/v1/uploads/{upload}").json()["received"]
        return put(http, upload, "all.jsonl", content[received:], received).status_code == 200

    wait_until(go_on, what="the rest of the file")
    assert finish(http, upload).json()["state"] == "ready"
    assert (server.settings.headway_data_dir / "artifacts" / upload / "all.jsonl").read_bytes() == content


def test_more_than_announced_wrong_places_and_wrong_sums_are_refused(server: Server, http: httpx.Client) -> None:
    upload = begin(http, {"a.txt": b"12345"})
    assert put(http, upload, "b.txt", b"1").status_code == 404
    assert put(http, upload, "a.txt", b"123456").status_code == 413
    assert put(http, upload, "a.txt", iter([b"12", b"34"])).status_code == 200  # of unknown length
    gap = put(http, upload, "a.txt", b"5", 5)
    assert (gap.status_code, "offset=4" in gap.json()["detail"]) == (409, True)
    assert put(http, upload, "a.txt", b"6", 4).status_code == 200
    assert "sha256" in fields(finish(http, upload))["a.txt"]
    assert http.get(f"/api/v1/uploads/{upload}").json()["received"] == 0
    assert put(http, upload, "a.txt", b"12345").status_code == 200
    assert finish(http, upload).status_code == 200
    assert put(http, upload, "a.txt", b"", 5).status_code == 409
    body = {"type": "dataset", "files": [{"path": "a.txt", "bytes": 40 << 20}]}
    large = http.post("/api/v1/uploads", json=body).json()
    told = put(http, large["id"], "a.txt", bytes(large["part_bytes"] + 1))
    assert (told.status_code, "part_bytes" in told.json()["detail"]) == (413, True)
    assert http.delete(f"/api/v1/uploads/{large['id']}").status_code == 204
    assert http.get(f"/api/v1/uploads/{large['id']}").status_code == 404
    assert not folder_of(server.settings, large["id"]).exists()


def test_two_finishes_at_once_make_one_artifact(server: Server, http: httpx.Client) -> None:
    upload = begin(http, {"a.txt": TEXT.encode()})
    put(http, upload, "a.txt", TEXT.encode())
    statuses: list[int] = []

    def end() -> None:
        with server.client() as client:
            statuses.append(finish(client, upload).status_code)

    threads = [threading.Thread(target=end) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert 200 in statuses
    assert set(statuses) <= {200, 503}
    assert finish(http, upload).json()["state"] == "ready"


def test_a_finish_that_was_cut_off_after_moving_is_gone_on_with(server: Server, http: httpx.Client) -> None:
    upload = begin(http, {"a.txt": b"1"})
    put(http, upload, "a.txt", b"1")
    (server.settings.headway_data_dir / "artifacts").mkdir(exist_ok=True)
    folder_of(server.settings, upload).rename(server.settings.headway_data_dir / "artifacts" / upload)
    assert finish(http, upload).json()["state"] == "ready"


def test_what_nobody_goes_on_with_is_swept_after_a_day(
    server: Server, http: httpx.Client, installation: Installation
) -> None:
    kept, left, silent = (begin(http, {"a.txt": b"12"}) for _ in range(3))
    for upload in (kept, left):
        put(http, upload, "a.txt", b"1")
    yesterday = "UPDATE artifacts SET created_at = now() - interval '2 days' WHERE id = ANY(%s)"
    installation.query(yesterday, [kept, left, silent])
    for path in (folder_of(server.settings, left), folder_of(server.settings, left) / "a.txt"):
        os.utime(path, (1, 1))
    assert folder_of(server.settings, left) in sweep_uploads(server.api.runtime.engine, server.settings)
    answers = [http.get(f"/api/v1/uploads/{upload}").status_code for upload in (kept, left, silent)]
    assert answers == [200, 404, 404]
    assert not folder_of(server.settings, left).exists()


def test_an_artifact_is_deleted_with_its_files_once_nothing_refers_to_it(
    server: Server, http: httpx.Client, installation: Installation
) -> None:
    upload = begin(http, {"a.txt": b"1"})
    put(http, upload, "a.txt", b"1")
    folder = Path(finish(http, upload).json()["path"])
    job = http.post("/api/v1/jobs", json={"kind": "dataset.dedupe", "config": {"dataset": f"artifact:{upload}"}})
    refused = http.delete(f"/api/v1/artifacts/{upload}")
    assert (refused.status_code, f"job {job.json()['id']} was given" in refused.json()["detail"]) == (409, True)
    about = next(each for each in http.get("/api/v1/artifacts").json()["items"] if each["job_id"] == job.json()["id"])
    assert "about to make" in http.delete(f"/api/v1/artifacts/{about['id']}").json()["detail"]
    assert http.post(f"/api/v1/jobs/{job.json()['id']}/cancel", json={}).status_code == 200
    assert http.delete(f"/api/v1/jobs/{job.json()['id']}").status_code == 204
    assert folder.exists()
    assert http.delete(f"/api/v1/artifacts/{upload}").status_code == 204
    assert not folder.exists()
    assert http.get(f"/api/v1/artifacts/{upload}").status_code == 404
    assert http.delete(f"/api/v1/artifacts/{upload}").status_code == 404
    unfinished = begin(http, {"a.txt": b"1"})
    assert http.delete(f"/api/v1/artifacts/{unfinished}").status_code == 204
    # what another host has of it goes when that host looks
    folder.mkdir()
    os.utime(folder, (1, 1))
    assert folder in sweep_host(server.api.runtime.engine, server.settings)


@contextmanager
def small_disk(folder: Path) -> Iterator[Path]:
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=300m", "tmpfs", str(folder)]
    if os.geteuid() != 0 or subprocess.run(mount, capture_output=True).returncode != 0:
        pytest.skip("only root may mount the small disk this needs")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", folder], check=True)


def test_a_full_disk_is_said_and_leaves_nothing_behind(
    installation: Installation, postgres_url: str, redis_url: str, tmp_path: Path
) -> None:
    environment = installation.environment
    with small_disk(tmp_path / "disk") as disk:
        settings = make_settings(disk, environment["HEADWAY_DATABASE_URL"], environment["HEADWAY_REDIS_URL"])
        with serving(settings) as server, server.client() as http:
            body = {"type": "dataset", "files": [{"path": "a.txt", "bytes": 200 << 20}]}
            refused = http.post("/api/v1/uploads", json=body)
            assert (refused.status_code, refused.json()["title"]) == (507, "Disk full")
            upload = begin(http, {"a.txt": bytes(8 << 20)})
            put(http, upload, "a.txt", b"0")
            (disk / "ballast").write_bytes(bytes(299 << 20))
            full = put(http, upload, "a.txt", bytes(4 << 20), 1)
            assert (full.status_code, "removed" in full.json()["detail"]) == (507, True)
            assert not folder_of(settings, upload).exists()
            assert http.get(f"/api/v1/uploads/{upload}").status_code == 404


def test_another_host_says_where_an_upload_goes_and_may_pull_what_came_of_it(
    installation: Installation, tmp_path: Path
) -> None:
    with (
        machine(installation, "elm", tmp_path / "elm") as elm,
        machine(installation, "fir", tmp_path / "fir") as fir,
        elm.server.client() as at_elm,
        fir.server.client() as at_fir,
    ):
        upload = begin(at_elm, {"a.txt": b"1"})
        elsewhere = put(at_fir, upload, "a.txt", b"1")
        assert (elsewhere.status_code, "goes to host elm" in elsewhere.json()["detail"]) == (404, True)
        put(at_elm, upload, "a.txt", b"1")
        finish(at_elm, upload)
        assert elm.server.url in at_fir.get(f"/api/v1/artifacts/{upload}/files").json()["detail"]
        target = tmp_path / "copy"
        assert pull(Wanted(elm.server.url, f"artifacts/{upload}", target), TOKEN, lambda: None) == 1
        assert (target / "a.txt").read_bytes() == b"1"


@pytest.fixture
def filed(http: httpx.Client) -> dict[str, Any]:
    """An artifact of two files, one in a folder."""
    files = {"notes.md": b"# Notes", "set/cats.jsonl": b'{"text": "cat"}'}
    upload = begin(http, files)
    for path, content in files.items():
        put(http, upload, path, content)
    return finish(http, upload).json()


def test_files_of_an_artifact_are_read_by_their_path(http: httpx.Client, server: Server, filed: dict[str, Any]) -> None:
    url = f"/api/v1/artifacts/{filed['id']}/file"
    read = http.get(url, params={"path": "set/cats.jsonl"})
    assert read.json() == {"text": "cat"}
    assert read.headers["Content-Disposition"] == "attachment"
    assert read.headers["X-Content-Type-Options"] == "nosniff"
    with server.client("") as nobody:
        assert nobody.get(url, params={"path": "set/cats.jsonl"}).status_code == 401


@pytest.mark.parametrize(
    "path", ["../../token", "/etc/passwd", "set", "no/such.json", "set/../../../token", "leads-out.json", "a\x01b"]
)
def test_nothing_outside_an_artifact_is_read(http: httpx.Client, filed: dict[str, Any], path: str) -> None:
    (Path(filed["path"]) / "leads-out.json").symlink_to("/etc/passwd")
    answer = http.get(f"/api/v1/artifacts/{filed['id']}/file", params={"path": path})
    assert answer.status_code in (404, 422), answer.text
