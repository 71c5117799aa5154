"""Webhooks end to end: registered over HTTP, told by the worker, to a receiver that really listens."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import httpx
import pytest

from headway.bootstrap import Runtime
from headway.domain.webhook import is_signed
from headway.services import tell_webhooks
from headway.workers.courier import Courier
from tests.installation import Installation, open_installation, wait_until
from tests.integration.api_server import Server, serving

HOOKS = "/api/v1/webhooks"


@dataclass
class Receiver:
    """A web server that keeps what it gets and answers as it is told (then 200)."""

    port: int = 0
    answers: list[tuple[int, dict[str, str]]] = field(default_factory=list)
    got: list[tuple[dict[str, str], bytes]] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/hook?x=1"

    def events(self) -> list[dict[str, Any]]:
        """What was taken (answered with 200)."""
        return [json.loads(body) for _, body in self.got]


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as made:
        yield made


@contextmanager
def receiving() -> Iterator[Receiver]:
    made = Receiver()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            made.asked.append(self.path)
            status, headers = made.answers.pop(0) if made.answers else (200, {})
            if status == 200:
                made.got.append((dict(self.headers), body))
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.end_headers()

        def log_message(self, format: str, *args: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    made.port = server.server_port
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield made
    finally:
        server.shutdown()
        server.server_close()


@pytest.fixture(scope="module")
def installation(postgres_url: str, redis_url: str) -> Iterator[Installation]:
    settings = {"HEADWAY_WEBHOOK_NETWORKS": "127.0.0.0/8", "HEADWAY_WEBHOOK_RETRY_SECONDS": "0.1"}
    with open_installation(postgres_url, redis_url, **settings) as opened:
        opened.start_worker("cpu")
        opened.start_worker("system", beat=True)
        yield opened


@pytest.fixture(scope="module")
def server(installation: Installation) -> Iterator[Server]:
    with serving(installation.settings) as running:
        yield running


@pytest.fixture
def http(server: Server) -> Iterator[httpx.Client]:
    with server.client() as client:
        yield client
        for hook in client.get(HOOKS).json()["items"]:
            assert client.delete(f"{HOOKS}/{hook['id']}").status_code == 204


def register(http: httpx.Client, url: str, events: list[str], **more: Any) -> dict[str, Any]:
    response = http.post(HOOKS, json={"url": url, "events": events, **more})
    assert response.status_code == 201, response.text
    return response.json()


def deliveries(http: httpx.Client, hook: dict[str, Any]) -> list[dict[str, Any]]:
    return http.get(f"{HOOKS}/{hook['id']}/deliveries").json()["items"]


def settled(http: httpx.Client, hook: dict[str, Any], count: int) -> list[dict[str, Any]]:
    """The deliveries once there are so many and none is under way."""

    def done() -> list[dict[str, Any]]:
        items = deliveries(http, hook)
        return items if len(items) >= count and all(item["state"] != "pending" for item in items) else []

    return wait_until(done, what=f"{count} settled deliveries")


def work(http: httpx.Client, **config: Any) -> str:
    body = {"kind": "probe.work", "config": {"steps": 3, "step_seconds": 0.01, **config}}
    return http.post("/api/v1/jobs", json=body).json()["id"]


def test_receiver_that_fails_twice_gets_the_event_once_and_signed(http: httpx.Client, receiver: Receiver) -> None:
    receiver.answers = [(500, {}), (503, {})]
    hook = register(http, receiver.url, ["job.completed"])
    job_id = work(http)
    (delivery,) = settled(http, hook, 1)
    assert (delivery["state"], delivery["attempts"], delivery["status"], delivery["error"]) == (
        "delivered", 3, 200, None,
    )  # fmt: skip
    assert receiver.asked == ["/hook?x=1"] * 3
    ((headers, body),) = receiver.got
    assert is_signed(hook["secret"], headers["X-Headway-Signature"], body, time.time())
    told = json.loads(body)
    assert (headers["X-Headway-Event"], headers["X-Headway-Delivery"]) == ("job.completed", delivery["id"])
    assert (told["id"], told["event"], told["job"]["id"]) == (delivery["id"], "job.completed", job_id)
    assert (told["job"]["state"], told["job"]["percent"]) == ("completed", 100.0)


def test_phases_and_failure_are_told_once_each_to_who_asked(http: httpx.Client, receiver: Receiver) -> None:
    hook = register(http, receiver.url, ["phase.changed", "job.failed"])
    job_id = work(http, fail_at={"step": 2, "how": "exception"})
    settled(http, hook, 3)
    events = sorted(receiver.events(), key=lambda event: event["at"])
    assert [event["event"] for event in events] == ["phase.changed", "phase.changed", "job.failed"]
    assert [event["data"]["phase"] for event in events[:2]] == ["warming", "working"]
    assert "failed at step 2" in events[2]["data"]["error"]["message"]
    assert {event["job"]["id"] for event in events} == {job_id}


def test_threshold_is_told_once_a_job_at_the_first_step_beyond(http: httpx.Client, receiver: Receiver) -> None:
    threshold = {"metric": "m0", "above": 1.0}
    hook = register(http, receiver.url, ["metric.threshold", "job.completed"], threshold=threshold)
    job_id = work(http, steps=60, seed=1)
    settled(http, hook, 2)
    series = http.get(f"/api/v1/jobs/{job_id}/metrics", params={"names": "m0"}).json()["series"][0]
    first = next((step, value) for step, value in zip(series["steps"], series["values"], strict=True) if value > 1.0)
    (told,) = [event for event in receiver.events() if event["event"] == "metric.threshold"]
    assert (told["data"]["step"], told["data"]["value"]) == first
    assert (told["data"]["metric"], told["data"]["above"], told["data"]["below"]) == ("m0", 1.0, None)


def test_webhook_of_one_job_or_kind_hears_of_no_other(http: httpx.Client, receiver: Receiver) -> None:
    mine = work(http, steps=40, step_seconds=0.001, rest_seconds=0.03)
    of_job = register(http, receiver.url, ["job.completed"], job_id=mine)
    of_kind = register(http, receiver.url, ["job.completed"], kind="sae.train")
    everything = register(http, receiver.url, ["job.completed"])
    other = work(http)
    settled(http, everything, 2)
    assert {item["job_id"] for item in deliveries(http, everything)} == {mine, other}
    assert [item["job_id"] for item in settled(http, of_job, 1)] == [mine]
    assert deliveries(http, of_kind) == []


def test_what_happened_before_is_not_told(http: httpx.Client, installation: Installation, receiver: Receiver) -> None:
    installation.wait_state(work(http), "completed")
    hook = register(http, receiver.url, ["job.completed"])
    later = work(http)
    settled(http, hook, 1)
    assert [item["job_id"] for item in deliveries(http, hook)] == [later]


def test_silent_job_is_told_of_once(http: httpx.Client, installation: Installation, receiver: Receiver) -> None:
    hook = register(http, receiver.url, ["job.stalled"])
    job_id = installation.submit(config={"steps": 1})
    # a job whose worker fell silent long ago, and whose lease nobody has looked at yet
    installation.wait_state(job_id, "completed")
    statement = (
        "UPDATE jobs SET state = 'running', percent_bp = 10, updated_at = now() - interval '1 hour', "
        "lease_expires_at = now() + interval '1 hour', revision = revision + 1 WHERE id = %s"
    )
    installation.query(statement, job_id)
    settled(http, hook, 1)
    tell_webhooks.fill_outbox(installation.engine)
    (told,) = receiver.events()
    assert (told["event"], told["data"]["liveness"], told["job"]["id"]) == ("job.stalled", "stalled", job_id)
    assert len(deliveries(http, hook)) == 1
    installation.query("UPDATE jobs SET state = 'cancelled' WHERE id = %s", job_id)


def test_redirect_is_not_followed(http: httpx.Client, receiver: Receiver) -> None:
    with receiving() as elsewhere:
        receiver.answers = [(302, {"Location": elsewhere.url})]
        hook = register(http, receiver.url, ["job.completed"])
        work(http)
        settled(http, hook, 1)
        assert (len(receiver.got), elsewhere.asked) == (1, [])


@pytest.mark.parametrize("url", ["http://169.254.169.254/latest", "http://2852039166/", "http://10.0.0.1:8080/x"])
def test_private_address_is_refused_by_name(http: httpx.Client, url: str) -> None:
    response = http.post(HOOKS, json={"url": url, "events": ["job.failed"]})
    assert response.status_code == 422
    assert [error["field"] for error in response.json()["errors"]] == ["url"]
    assert "HEADWAY_WEBHOOK_NETWORKS" in response.json()["detail"]
    assert http.get(HOOKS).json()["items"] == []


def test_name_that_came_to_lead_to_a_private_address_is_not_called(
    http: httpx.Client, installation: Installation, receiver: Receiver
) -> None:
    hook = register(http, receiver.url, ["job.completed"])
    # what a change of its DNS would do
    installation.query("UPDATE webhooks SET url = 'http://2852039166/' WHERE id = %s", hook["id"])
    work(http)
    (delivery,) = settled(http, hook, 1)
    assert (delivery["state"], delivery["attempts"], delivery["status"]) == ("failed", 1, None)
    assert "169.254.169.254" in delivery["error"]


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"events": []}, "events"),
        ({"events": ["job.exploded"]}, "events.0"),
        ({"events": ["metric.threshold"]}, ""),
        ({"events": ["metric.threshold"], "threshold": {"metric": "loss"}}, "threshold"),
        ({"events": ["job.failed"], "secret": "short"}, "secret"),
        ({"events": ["job.failed"], "kind": "no.such"}, "kind"),
        ({"events": ["job.failed"], "job_id": "aaaaaaaaaaaa"}, "job_id"),
        ({"events": ["job.failed"], "colour": "red"}, "colour"),
    ],
)
def test_wrong_field_is_named(http: httpx.Client, receiver: Receiver, body: dict[str, Any], field: str) -> None:
    response = http.post(HOOKS, json={"url": receiver.url, **body})
    assert response.status_code == 422, response.text
    assert [error["field"] for error in response.json()["errors"]] == [field]


def test_secret_is_shown_once_and_only_admins_see_webhooks(
    server: Server, http: httpx.Client, receiver: Receiver
) -> None:
    made = register(http, receiver.url, ["job.failed"], secret="a-secret-of-my-own")
    assert made["secret"] == "a-secret-of-my-own"
    assert "secret" not in http.get(HOOKS).json()["items"][0]
    operator = http.post("/api/v1/tokens", json={"name": "o", "role": "operator"}).json()["token"]
    with server.client(token=operator) as other:
        assert [other.get(HOOKS).status_code, other.delete(f"{HOOKS}/{made['id']}").status_code] == [403, 403]
    assert http.get(f"{HOOKS}/aaaaaaaaaaaa/deliveries").status_code == 404
    assert http.delete(f"{HOOKS}/aaaaaaaaaaaa").status_code == 404


def test_dead_receiver_holds_back_no_other(http: httpx.Client, receiver: Receiver) -> None:
    dead = register(http, "http://127.0.0.1:9/", ["job.completed"])
    alive = register(http, receiver.url, ["job.completed"])
    work(http)
    settled(http, alive, 1)
    (delivery,) = deliveries(http, dead)
    assert (delivery["state"], "no answer from 127.0.0.1" in delivery["error"]) == ("pending", True)
    assert delivery["next_attempt_at"] is not None


def test_two_couriers_deliver_each_event_once(
    http: httpx.Client, installation: Installation, receiver: Receiver
) -> None:
    hook = register(http, receiver.url, ["job.completed"])
    with _couriers(installation.runtime, 2):
        jobs = [work(http, steps=1) for _ in range(6)]
        settled(http, hook, len(jobs))
    assert sorted(event["job"]["id"] for event in receiver.events()) == sorted(jobs)


@contextmanager
def _couriers(runtime: Runtime, count: int) -> Iterator[None]:
    made = [Courier(runtime) for _ in range(count)]
    try:
        yield
    finally:
        for courier in made:
            courier.close()
