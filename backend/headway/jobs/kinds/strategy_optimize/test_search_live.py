"""A search by a real worker: watched by the second training API, saved, run again, and shown by the dashboard."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pyarrow
import pytest
from pyarrow import parquet

from headway.jobs.registry import get_kind
from tests.acceptance.browser import needs_chromium, run_script
from tests.installation import Installation, open_installation
from tests.integration.api_server import Server

CANDLES, EPISODES = 1_600_000, 16
ALL = "/api/v1/configurations"
FIELDS = {
    "job_id", "percentage", "current_step", "step_number", "total_steps", "step_percentage", "step_details",
    "started_at", "updated_at", "estimated_completion", "current_iteration", "total_iterations", "current_candle",
    "total_candles", "best_score", "current_score", "best_params", "is_complete", "error_message",
}  # fmt: skip


@pytest.fixture(scope="module")
def installation(postgres_url: str, redis_url: str) -> Iterator[Installation]:
    with open_installation(postgres_url, redis_url) as opened:
        opened.start_worker("cpu")
        yield opened


@pytest.fixture(scope="module")
def prices(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A long walk by the minute."""
    close = 100 * np.exp(np.cumsum(np.random.default_rng(0).normal(0, 0.0005, CANDLES)))
    opened = np.append(100.0, close[:-1])
    high, low = np.maximum(opened, close), np.minimum(opened, close)
    time = 1_600_000_000 + 60 * np.arange(CANDLES)
    path = tmp_path_factory.mktemp("prices") / "walk.parquet"
    write(path, {"time": time, "open": opened, "high": high, "low": low, "close": close})
    return path


def write(path: Path, columns: dict[str, Any]) -> None:
    parquet.write_table(pyarrow.table(columns), path)


@pytest.fixture(scope="module")
def watched(installation: Installation, http: httpx.Client, prices: Path) -> tuple[str, list[dict[str, Any]]]:
    """A job that ran to its end, and what the training API told meanwhile."""
    config = {"path": str(prices), "episodes": EPISODES, "walk_forward": False, "method": "random", "parallel": 1}
    started = http.post("/api/v2/training/start", json={"config": config})
    assert started.status_code == 202, started.text
    job_id, told = started.json()["job_id"], []

    def looks(job: Any) -> bool:
        told.append(read(http, f"/api/v2/training/jobs/{job_id}/progress"))
        return job.state in ("completed", "failed")

    done = installation.wait(job_id, looks)
    assert done.state == "completed", done.error
    told.append(read(http, f"/api/v2/training/jobs/{job_id}/progress"))
    return job_id, told


def read(http: httpx.Client, path: str, **query: Any) -> Any:
    response = http.get(path, params=query)
    assert response.status_code == 200, response.text
    return response.json()


def saved_of(http: httpx.Client, job_id: str) -> dict[str, Any]:
    return read(http, ALL, job_id=job_id)["items"][0]


def test_training_view_tells_episodes_candles_and_the_best_so_far(
    http: httpx.Client, watched: tuple[str, list[dict[str, Any]]]
) -> None:
    job_id, told = watched
    assert all(view.keys() == FIELDS for view in told)
    searching = [view for view in told if view["current_step"] == "Optimization" and view["current_iteration"]]
    assert len(searching) > 3
    split = CANDLES - CANDLES // 4
    for view in searching:
        assert (view["total_iterations"], view["total_candles"]) == (EPISODES, split)
        assert 0 <= view["current_candle"] < split
        assert (view["step_number"], view["total_steps"]) == (2, 4)
    iterations = [view["current_iteration"] for view in searching]
    assert iterations == sorted(iterations)
    scored = [view for view in searching if view["best_score"] is not None]
    best = [view["best_score"] for view in scored]
    assert best == sorted(best)
    assert all(view["best_params"].keys() == {"fast", "slow"} for view in scored)
    last, saved = told[-1], saved_of(http, job_id)
    assert (last["percentage"], last["is_complete"], last["total_steps"]) == (100.0, True, 3)
    assert (last["best_score"], last["best_params"]) == (saved["score"], saved["parameters"])
    assert last["current_score"] is not None


def test_weights_are_those_of_the_contract(http: httpx.Client) -> None:
    kinds = {kind["name"]: kind for kind in read(http, "/api/v1/kinds")["items"]}
    phases = [(phase["title"], phase["weight"]) for phase in kinds["strategy.optimize"]["phases"]]
    assert phases == [("Data collection", 25), ("Optimization", 50), ("Validation", 20), ("Save configuration", 5)]
    assert kinds["strategy.optimize"]["available"]


def test_completed_search_is_listed_with_its_figures_and_the_curves_apart(
    installation: Installation, http: httpx.Client, watched: tuple[str, Any]
) -> None:
    saved = saved_of(http, watched[0])
    assert (saved["strategy"], saved["market"], saved["seed"]) == ("moving_average_cross", "walk", 0)
    assert saved["in_sample"]["trades"] > 10
    assert saved["out_of_sample"]["sharpe"] is not None
    whole = read(http, f"{ALL}/{saved['id']}")
    assert set(whole["results"]["curves"]) == {"in_sample", "out_of_sample"}
    assert "curves" not in read(http, f"/api/v1/artifacts/{saved['id']}")["meta"]
    rows = installation.query("SELECT count(*) FROM trained_configurations WHERE id = %s", saved["id"])
    assert rows == [(1,)]


def test_rerun_finds_the_very_same(installation: Installation, http: httpx.Client, watched: tuple[str, Any]) -> None:
    first = saved_of(http, watched[0])
    again = http.post(f"{ALL}/{first['id']}/rerun", headers={"Idempotency-Key": "once-more"})
    assert again.status_code == 201, again.text
    assert (
        http.post(f"{ALL}/{first['id']}/rerun", headers={"Idempotency-Key": "once-more"}).json()["id"]
        == again.json()["id"]
    )
    installation.wait_state(again.json()["id"], "completed")
    second = saved_of(http, again.json()["id"])
    both = read(http, f"{ALL}/compare", ids=f"{first['id']},{second['id']}")
    assert both["differing"] == ["data_sha256"]
    assert both["items"][0]["results"] == both["items"][1]["results"]
    assert first["parameters"] == second["parameters"]
    assert first["score"] == second["score"]


def test_rerun_over_other_prices_fails_and_says_why(
    installation: Installation, http: httpx.Client, watched: tuple[str, Any], prices: Path
) -> None:
    before = prices.read_bytes()
    parquet.write_table(parquet.read_table(prices).slice(1), prices)
    try:
        again = http.post(f"{ALL}/{saved_of(http, watched[0])['id']}/rerun").json()["id"]
        failed = installation.wait_state(again, "failed")
        assert failed.error
        assert "not those of data_sha256" in failed.error.message
    finally:
        prices.write_bytes(before)


def test_active_ones_can_be_asked_for(http: httpx.Client, watched: tuple[str, Any]) -> None:
    saved = saved_of(http, watched[0])
    assert not saved["active"]
    path = f"{ALL}/{saved['id']}"
    assert http.post(f"{path}/activate").json()["active"]
    since = read(http, path)["activated_at"]
    assert http.post(f"{path}/activate").json()["activated_at"] == since
    assert [item["id"] for item in read(http, ALL, active=True)["items"]] == [saved["id"]]
    assert http.post(f"{path}/deactivate").json()["activated_at"] is None
    assert read(http, ALL, active=True)["items"] == []


def test_export_is_the_configuration_as_a_file(http: httpx.Client, watched: tuple[str, Any]) -> None:
    saved = saved_of(http, watched[0])
    response = http.get(f"{ALL}/{saved['id']}/export")
    assert response.headers["Content-Disposition"] == f'attachment; filename="configuration-{saved["id"]}.json"'
    assert json.loads(response.text) == read(http, f"{ALL}/{saved['id']}")


def test_without_its_extra_a_search_is_listed_as_unavailable_and_refused_with_the_command(
    http: httpx.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    kind = get_kind("strategy.optimize")
    assert kind.unavailable_reason is None
    monkeypatch.setitem(sys.modules, "optuna", None)
    monkeypatch.delitem(kind.__dict__, "unavailable_reason")
    said = "needs optuna: install it with `pip install 'headway[strategy]'`"
    listed = next(each for each in read(http, "/api/v1/kinds")["items"] if each["name"] == kind.name)
    assert (listed["available"], listed["unavailable_reason"]) == (False, said)
    refused = http.post("/api/v1/jobs", json={"kind": kind.name, "config": {}})
    assert refused.status_code == 422
    assert refused.json()["errors"] == [{"field": "kind", "message": f"strategy.optimize {said}"}]


def test_what_is_not_there_is_said(http: httpx.Client) -> None:
    for method, path in (("GET", ""), ("GET", "/export"), ("POST", "/activate"), ("POST", "/rerun")):
        response = http.request(method, f"{ALL}/nothing{path}")
        assert response.status_code == 404, path
        assert "there is no configuration nothing" in response.text
    response = http.get(f"{ALL}/compare", params={"ids": "one"})
    assert response.status_code == 422
    assert response.json()["errors"][0]["field"] == "ids"


@needs_chromium
@pytest.mark.browser
def test_dashboard_shows_the_saved_configuration_and_its_form_takes_ranges(
    server: Server, http: httpx.Client, watched: tuple[str, Any]
) -> None:
    saved = saved_of(http, watched[0])["id"]
    run_script("strategies", BASE_URL=server.url, TOKEN=server.token, CONFIGURATION=saved)
