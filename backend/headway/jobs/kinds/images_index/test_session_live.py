"""A live image session: its unified view, a restart from a phase, its files, and what an uploaded zip may hold."""

from __future__ import annotations

import shutil
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from PIL import Image

from headway.errors import InvalidInputError
from headway.jobs.kinds.images_index.sources import Limits, open_source
from headway.jobs.kinds.images_index.test_images_index import QUICK, variants
from tests.installation import Installation, open_installation, wait_until

WEIGHTS = {"training": 30, "faceDetection": 65, "clustering": 5}
WAIT_SECONDS = 300.0


@pytest.fixture(scope="module")
def installation(postgres_url: str, redis_url: str) -> Iterator[Installation]:
    with open_installation(postgres_url, redis_url) as opened:
        opened.start_worker("gpu")
        yield opened


@pytest.fixture(scope="module")
def watched(installation: Installation, http: httpx.Client, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A whole session over a zip that was uploaded, and every state of its unified view that was seen while it ran."""
    pictures = variants(tmp_path_factory.mktemp("images") / "pictures")
    dataset = uploaded(http, Path(shutil.make_archive(str(pictures), "zip", pictures)))
    job_id = installation.submit("images.index", QUICK | {"dataset": dataset}, name="Photos")
    seen: list[dict[str, Any]] = []

    def over() -> bool:
        view = http.get(f"/api/v1/training/sessions/{job_id}/progress-unified").json()
        if not seen or seen[-1] != view:
            seen.append(view)
        return view["overallStatus"] in ("completed", "failed", "cancelled")

    wait_until(over, WAIT_SECONDS, "the end of the session")
    assert seen[-1]["overallStatus"] == "completed", installation.job(job_id)
    return job_id, seen


def uploaded(http: httpx.Client, file: Path) -> str:
    """The file as an artifact, by reference."""
    announced = {"type": "dataset", "files": [{"path": file.name, "bytes": file.stat().st_size}]}
    upload = http.post("/api/v1/uploads", json=announced).json()
    sent = http.put(f"/api/v1/uploads/{upload['id']}/file", params={"path": file.name}, content=file.read_bytes())
    assert sent.status_code == 200, sent.text
    assert http.post(f"/api/v1/uploads/{upload['id']}/finish").status_code == 200
    return f"artifact:{upload['id']}"


def artifact_of(http: httpx.Client, job_id: str) -> dict[str, Any]:
    (item,) = http.get("/api/v1/artifacts", params={"job_id": job_id}).json()["items"]
    return item


def test_unified_view_follows_a_live_session(watched: Any) -> None:
    job_id, seen = watched
    fields = {"name", "status", "progress", "etaSeconds", "startedAt", "completedAt", "error"}
    for view in seen:
        assert view.keys() == {"sessionId", "overallStatus", "overallProgress", "phases"}
        assert view["sessionId"] == job_id
        assert list(view["phases"]) == list(WEIGHTS)
        for phase in view["phases"].values():
            assert phase is None or (phase.keys() == fields and phase["error"] is None)
    running = [view for view in seen if all(view["phases"].values())]
    currents = [view["overallProgress"]["currentPhase"] for view in running]
    order = list(dict.fromkeys(current for current in currents if current))
    assert order == list(WEIGHTS)
    embedding = [view["phases"]["training"]["progress"] for view in running]
    assert {each["total"] for each in embedding if each["total"] is not None} == {13}
    percents = [view["overallProgress"]["percentage"] for view in running]
    assert percents == sorted(percents)


def test_percent_is_that_of_the_fixed_weights(watched: Any) -> None:
    for view in watched[1]:
        if view["overallStatus"] == "running" and all(view["phases"].values()):
            shares = (view["phases"][key]["progress"]["percentage"] * weight for key, weight in WEIGHTS.items())
            assert view["overallProgress"]["percentage"] == pytest.approx(sum(shares) / 100, abs=0.02)


def test_finished_session_is_complete_in_every_phase(watched: Any, http: httpx.Client) -> None:
    last = watched[1][-1]
    assert last["overallProgress"]["percentage"] == 100
    for phase in last["phases"].values():
        assert phase["status"] == "completed"
        assert phase["startedAt"] <= phase["completedAt"]
    older = http.get(f"/api/v1/training/sessions/{watched[0]}/progress").json()
    assert older["progress"] == {"current": 13, "total": 13, "percentage": 100}


def test_retry_restarts_from_a_phase_and_reuses_those_before(
    watched: Any, http: httpx.Client, installation: Installation
) -> None:
    body = {"config": {"restart_from": "face_detection"}}
    again = http.post(f"/api/v1/jobs/{watched[0]}/retry", json=body).json()
    installation.wait_state(again["id"], "completed", timeout=WAIT_SECONDS)
    meta = artifact_of(http, again["id"])["meta"]
    assert meta["embedding"]["reused"] == 13
    assert meta["face_detection"]["reused"] == 0
    assert meta["clustering"] == artifact_of(http, watched[0])["meta"]["clustering"]


def test_clusters_and_their_sheets_are_read_from_the_artifact(watched: Any, http: httpx.Client) -> None:
    url = f"/api/v1/artifacts/{artifact_of(http, watched[0])['id']}/file"
    clusters = http.get(url, params={"path": "clusters.json"})
    assert [group["size"] for group in clusters.json()["pictures"]["groups"]] == [4, 4, 4]
    sheet = http.get(url, params={"path": clusters.json()["pictures"]["groups"][0]["sheet"]})
    assert sheet.headers["Content-Type"] == "image/jpeg"
    assert sheet.content.startswith(b"\xff\xd8")


def bomb(path: Path) -> Path:
    """A zip with one good picture, one that unpacks to far more than it says, a way out, and a link."""
    Image.effect_noise((64, 64), 90).save(path.with_suffix(".png"))
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.write(path.with_suffix(".png"), "good.png")
        archive.writestr("bomb.png", bytes(8 << 20))
        archive.writestr("../../out.png", b"1")
        link = zipfile.ZipInfo("link.png")
        link.external_attr = 0o120777 << 16
        archive.writestr(link, "/etc/passwd")
    return path


def test_an_uploaded_zip_of_pictures_is_read_in_place_and_leads_nowhere(http: httpx.Client, tmp_path: Path) -> None:
    artifact = uploaded(http, bomb(tmp_path / "pictures.zip"))[len("artifact:") :]
    folder = Path(http.get(f"/api/v1/artifacts/{artifact}").json()["path"])
    with pytest.raises(InvalidInputError, match="most_total_gb"):
        open_source(folder, Limits(10, 1 << 20, 4 << 20), "dataset")
    with pytest.raises(InvalidInputError, match="most_pictures"):
        open_source(folder, Limits(2, 1 << 20, 1 << 30), "dataset")
    source = open_source(folder, Limits(10, 1 << 20, 1 << 30), "dataset")
    assert source.listing.names == ["bomb.png", "good.png"]
    assert set(source.listing.refused) == {"../../out.png", "link.png"}
    with pytest.raises(Exception, match="has more than 1 MB"):
        source.read("bomb.png")
    assert sorted(path.name for path in folder.rglob("*")) == ["pictures.zip"]
