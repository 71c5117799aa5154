"""The monitor's data as clients get it: over HTTP by span and gauge, pushed by channel once it is committed."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import text

from headway.domain.typical import PhaseRun
from headway.realtime.channels import Message
from headway.services.record_samples import Measured, Measurer, claim_host, record_samples
from headway.storage.artifacts import insert_artifacts
from headway.storage.engine import transaction
from headway.storage.kind_runs import add_run
from tests.integration.api_server import Server, make_settings, serving
from tests.integration.test_api_push import listening, run

GAUGES = {"cpu.percent": 12.5, "cpu.core_percent:0": 12.5, "memory.used_bytes": 7, "gpu.power_watts:0": 200}
GPU = {"index": 0, "name": "G", "uuid": "u", "throttle_reasons": [], "processes": []}
REPORT = {"state": "ok", "reason": None, "gpus": [GPU]}


@pytest.fixture(scope="module")
def server(postgres_url: str, redis_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with serving(make_settings(tmp_path_factory.mktemp("data"), postgres_url, redis_url)) as running:
        yield running


def host(server: Server, name: str) -> Measurer:
    """A worker that measures a host which is known."""
    with transaction(server.api.runtime.engine) as connection:
        insert = text("INSERT INTO hosts (name, cpus, memory_mb) VALUES (:name, 1, 1) ON CONFLICT DO NOTHING")
        connection.execute(insert, {"name": name})
    measurer = Measurer(f"worker-{name}", name, 10.0)
    assert claim_host(server.api.runtime.engine, measurer)
    return measurer


def record(server: Server, measurer: Measurer, signals: Any = None) -> bool:
    runtime = server.api.runtime
    return record_samples(runtime.engine, signals or runtime.signals, measurer, Measured([], GAUGES, REPORT))


def test_host_is_measured_by_one_worker_at_a_time(server: Server) -> None:
    first = host(server, "alder")
    second = Measurer("another", "alder", 10.0)
    assert not claim_host(server.api.runtime.engine, second)
    assert not record(server, second), "whoever lost the lease stores nothing"
    assert record(server, first)


def test_pushed_is_only_what_is_committed(server: Server) -> None:
    measurer = host(server, "alder")
    seen: list[Message] = []

    class Signals:
        def publish(self, messages: Any) -> None:
            with server.client() as http:
                [newest] = http.get("/api/v1/system/current").json()["items"]
            for message in messages:
                assert newest["at"] == message.payload["at"]
                seen.append(message)

        def wake(self, queue: str, job_id: str) -> None:
            raise AssertionError("nothing is queued")

    assert record(server, measurer, Signals())
    assert [message.channel for message in seen] == [
        "system/cpu", "system/memory", "system/disk", "system/network", "system/gpu/alder:0", "system/gpu/0"
    ]  # fmt: skip
    assert {message.event for message in seen} == {"system:metrics"}
    assert seen[0].payload["gauges"] == {"cpu.percent": 12.5, "cpu.core_percent:0": 12.5}
    assert seen[-1].payload["gpu"] == GPU


def test_subscription_is_answered_with_the_newest_sample_and_hears_the_next(server: Server) -> None:
    measurer = host(server, "alder")
    record(server, measurer)

    async def main() -> None:
        async with listening(server) as listener:
            answer = await listener.subscribe("system/memory")
            assert answer["snapshot"]["items"][0]["gauges"] == {"memory.used_bytes": 7}
            for gpu_id in ("0", "alder:0"):
                answer = await listener.subscribe(f"system/gpu/{gpu_id}")
                assert answer["snapshot"]["items"][0]["gauges"] == {"gpu.power_watts:0": 200}
            assert "there is no GPU" in (await listener.subscribe("system/gpu/alder:7"))["error"]
            record(server, measurer)
            heard = {(await listener.next())[1]["channel"] for _ in range(3)}
            assert heard == {"system/memory", "system/gpu/0", "system/gpu/alder:0"}

    run(main())


def test_gpu_is_named_with_its_host_once_there_are_several(server: Server) -> None:
    record(server, host(server, "alder"))
    record(server, host(server, "birch"))

    async def main() -> None:
        async with listening(server) as listener:
            assert "name the GPU as alder:0" in (await listener.subscribe("system/gpu/0"))["error"]
            assert (await listener.subscribe("system/gpu/birch:0"))["ok"]
            assert len((await listener.subscribe("system/cpu"))["snapshot"]["items"]) == 2

    run(main())


def test_history_is_narrowed_to_a_host_a_span_and_gauges(server: Server) -> None:
    record(server, host(server, "alder"))
    now = datetime.now(UTC)
    with server.client() as http:
        wanted = {"host": "alder", "gauges": "cpu.percent, memory", "from": (now - timedelta(minutes=1)).isoformat()}
        [item] = http.get("/api/v1/system/history", params=wanted).json()["items"]
        assert item["host"] == "alder"
        assert [series["gauge"] for series in item["series"]] == ["cpu.percent", "memory.used_bytes"]
        assert item["series"][0]["values"][-1] == 12.5
        before = {"to": (now - timedelta(minutes=30)).timestamp(), "from": (now - timedelta(minutes=40)).timestamp()}
        assert all(item["times"] == [] for item in http.get("/api/v1/system/history", params=before).json()["items"])


@pytest.mark.parametrize(
    ("path", "status", "said"),
    [
        ("/api/v1/system/history?host=nobody", 404, "there is no host nobody"),
        ("/api/v1/system/history?from=2026-01-02T00:00:00Z&to=2026-01-01T00:00:00Z", 422, "swap them"),
        ("/api/v1/system/history?from=2026-01-02T00:00:00", 422, "timezone"),
        ("/api/v1/system/history?since=1", 422, "from, gauges, host, to"),
        ("/api/v1/jobs/aaaaaaaaaaaa/resources", 404, "there is no job"),
    ],
)
def test_wrong_question_is_answered_with_the_mend(server: Server, path: str, status: int, said: str) -> None:
    with server.client() as http:
        answer = http.get(path)
    assert (answer.status_code, said in answer.text) == (status, True), answer.text


def forecast(server: Server, config: dict[str, Any]) -> dict[str, Any]:
    with server.client() as http:
        return http.post("/api/v1/kinds/activations.extract/forecast", json={"config": config}).json()


def test_forecast_tells_disk_from_the_inputs_and_time_from_finished_runs_by_their_work(server: Server) -> None:
    metas = {"model": {"hidden_size": 64}, "tokens": {"tokens": 1000}}
    with transaction(server.api.runtime.engine) as connection:
        for name, meta in metas.items():
            row = {"id": name[0] * 12, "type": name, "name": name, "output": name, "state": "ready", "meta": meta}
            insert_artifacts(connection, [row])
    config = {"model": "artifact:mmmmmmmmmmmm", "tokens": "artifact:tttttttttttt", "layers": [1]}
    before = forecast(server, config)
    assert before["disk_bytes"] == 1000 * (2 * 64 + 4)
    assert before["says"] == "1,000 rows of 64 at 1 place"
    assert before["seconds"] is None
    with server.client() as http:
        job = http.post("/api/v1/jobs", json={"kind": "activations.extract", "config": config}).json()
    loading, extracting = (asdict(PhaseRun(seconds, part=part)) for seconds, part in ((3.0, 1.0), (5.0, 0.5)))
    with transaction(server.api.runtime.engine) as connection:
        add_run(connection, job["id"], "activations.extract", "here", {"loading": loading, "extracting": extracting})
    after = forecast(server, config | {"layers": [3]})
    assert after["seconds"] == pytest.approx(3 + 2 * 10)  # half of it took 5 s, and this goes twice as deep
    assert after["seconds_low"] < after["seconds"] < after["seconds_high"]
    assert (after["runs"], after["host"]) == (1, "here")
    unknown = forecast(server, config | {"tokens": "job:nobody/tokens"})
    assert (unknown["disk_bytes"], unknown["seconds"]) == (None, None)
    unfinished = forecast(server, config | {"layers": [-1]})
    assert [problem["field"] for problem in unfinished["problems"]] == ["config.layers.0"]
    assert (unfinished["disk_bytes"], unfinished["seconds"]) == (None, None)
