"""Features over HTTP: paged, searched, sorted; labelled by hand and by a model; errors that say what to do."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import pairwise
from typing import Any

import httpx
import pytest

from headway.jobs.feature_index import BANDS
from headway.storage.engine import transaction
from headway.storage.hosts import see_file_server
from tests.feature_indexes import add_index, register, word_of
from tests.installation import Installation, open_installation
from tests.integration.api_server import Server, serving

SAES = {"layer3.resid_post": 330, "layer5.resid_post": 66}
SAE = "layer3.resid_post"
SILENT = 10
LABEL_TOKEN = "label-token-of-the-operator"
MODEL = "tiny-labeller"


@dataclass
class Endpoint:
    """An OpenAI-compatible API of the test's own."""

    url: str
    asked: list[dict[str, Any]] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    status: int = 200
    answer: Callable[[dict[str, Any]], Any] = lambda asked: {"choices": [{"message": {"content": "river words"}}]}


@contextmanager
def endpoint_here() -> Iterator[Endpoint]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            endpoint.asked.append(asked | {"path": self.path})
            endpoint.headers.append({name.lower(): value for name, value in self.headers.items()})
            body = json.dumps(endpoint.answer(asked)).encode()
            self.send_response(endpoint.status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Nothing to the test's output."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    endpoint = Endpoint(f"http://127.0.0.1:{server.server_port}/v1")
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield endpoint
    finally:
        server.shutdown()
        server.server_close()


@pytest.fixture(scope="module")
def endpoint() -> Iterator[Endpoint]:
    with endpoint_here() as opened:
        yield opened


@pytest.fixture(scope="module")
def installation(postgres_url: str, redis_url: str, endpoint: Endpoint) -> Iterator[Installation]:
    labelling = {
        "HEADWAY_LABEL_ENDPOINT": endpoint.url, "HEADWAY_LABEL_MODEL": MODEL, "HEADWAY_LABEL_TOKEN": LABEL_TOKEN,
    }  # fmt: skip
    with open_installation(postgres_url, redis_url, **labelling) as opened:
        yield opened


@pytest.fixture
def asked(endpoint: Endpoint) -> Iterator[Endpoint]:
    """The endpoint, as it was told nothing and answers well."""
    endpoint.asked.clear()
    yield endpoint
    endpoint.status, endpoint.answer = 200, Endpoint("").answer


@pytest.fixture(scope="module")
def url(installation: Installation) -> str:
    add_index(installation, "features1", SAES)
    return "/api/v1/artifacts/features1"


def read(http: httpx.Client, path: str, **query: Any) -> Any:
    response = http.get(path, params=query)
    assert response.status_code == 200, response.text
    return response.json()


def found(http: httpx.Client, url: str, **query: Any) -> list[dict[str, Any]]:
    return read(http, f"{url}/features", **{"sae": SAE, "limit": 500} | query)["items"]


def refused(answer: httpx.Response, status: int, *words: str) -> None:
    assert answer.status_code == status, answer.text
    assert all(word in answer.json()["detail"] for word in words), answer.text


def test_index_names_its_saes_and_who_labels(http: httpx.Client, url: str) -> None:
    index = read(http, f"{url}/feature-index")
    assert [(sae["sae"], sae["d_sae"], sae["alive"]) for sae in index["saes"]] == [
        (SAE, 330, 300),
        (*list(SAES.items())[1], 60),
    ]
    assert index["labeller"] == MODEL
    assert index["meta"]["model"] == "tiny"
    densities = read(http, f"{url}/features/{SAE}")
    assert (sum(densities["counts"]), densities["never"]) == (300, 30)
    assert len(densities["log10_edges"]) == len(densities["counts"]) + 1
    frequent = sum(item["density"] > 0.1 for item in found(http, url))
    assert sum(densities["counts"][-4:]) == frequent > 0


@pytest.mark.parametrize(
    ("sort", "order"), [("density", "desc"), ("max", "asc"), ("mean", "desc"), ("index", "asc"), ("index", "desc")]
)
def test_pages_are_in_order_and_complete(http: httpx.Client, url: str, sort: str, order: str) -> None:
    key = "feature" if sort == "index" else sort
    seen: list[dict[str, Any]] = []
    cursor, total = "", None
    while True:
        page = read(http, f"{url}/features", sae=SAE, sort=sort, order=order, limit=80, cursor=cursor)
        total = page["total"] if total is None else total
        seen += page["items"]
        cursor = page["next_cursor"]
        if cursor is None:
            break
    assert total == len(seen) == len({item["feature"] for item in seen}) == 330
    values = [item[key] for item in seen]
    assert values == sorted(values, reverse=order == "desc")


def test_search_finds_words_beginnings_and_numbers(http: httpx.Client, url: str) -> None:
    violin = {item["feature"] for item in found(http, url, q="violin knows") if item["top_tokens"][0][0] == " violin"}
    expected = {feature for feature in range(330) if word_of(feature) == "violin" and feature % 11 != SILENT}
    assert violin == expected
    assert {item["feature"] for item in found(http, url, q="viol", sort="index")} >= expected
    assert [item["feature"] for item in found(http, url, q="123")] == [123]
    assert found(http, url, q="nowhereword") == []
    for odd in ('"', "a* OR", "NEAR(", "==>", "un\u0301"):
        found(http, url, q=odd)


def test_filters_bound_the_density_in_every_order(http: httpx.Client, url: str) -> None:
    whole = found(http, url)
    wanted = {item["feature"] for item in whole if 0.001 <= item["density"] <= 0.01}
    assert 10 < len(wanted) < 200
    for sort in ("density", "max", "index"):
        items = found(http, url, sort=sort, min_density=0.001, max_density=0.01)
        assert {item["feature"] for item in items} == wanted


def test_feature_is_read_whole(http: httpx.Client, url: str) -> None:
    feature = read(http, f"{url}/features/{SAE}/3")
    assert feature["top_tokens"][0][0] == f" {word_of(3)}"
    assert list(dict.fromkeys(example["band"] for example in feature["examples"])) == list(BANDS)
    for example in feature["examples"]:
        assert example["activations"][example["position"]] == example["activation"] == max(example["activations"])
    for one, next_one in pairwise(example for example in feature["examples"] if example["band"] == "top"):
        assert one["activation"] >= next_one["activation"]
    assert len(feature["histogram"]) == len(feature["promoted"]) == 10
    assert [each["label"] for each in feature["neighbours"]] == [None] * 5
    assert read(http, f"{url}/features/{SAE}/{SILENT}")["examples"] == []


def test_label_by_hand_is_kept_found_sorted_and_taken_away(http: httpx.Client, url: str) -> None:
    for feature, label in ((7, "  zebra stripes "), (4, "Apples")):
        answer = http.put(f"{url}/features/{SAE}/{feature}/label", json={"label": label})
        assert answer.status_code == 200, answer.text
    assert answer.json().items() >= {"label": "Apples", "source": "hand"}.items()
    assert [(item["feature"], item["label"]["label"]) for item in found(http, url, sort="label")] == [
        (4, "Apples"), (7, "zebra stripes"),
    ]  # fmt: skip
    first = read(http, f"{url}/features", sae=SAE, sort="label", limit=1)
    rest = read(http, f"{url}/features", sae=SAE, sort="label", limit=1, cursor=first["next_cursor"])
    assert (first["total"], [item["feature"] for item in rest["items"]]) == (2, [7])
    assert {item["feature"] for item in found(http, url, labelled=True)} == {4, 7}
    assert len(found(http, url, labelled=False)) == 328
    assert 7 in {item["feature"] for item in found(http, url, q="STRIPES")}
    assert read(http, f"{url}/features/{SAE}/3")["neighbours"][0] == {"feature": 4, "cosine": 0.9, "label": "Apples"}
    assert read(http, f"{url}/feature-index")["saes"][0]["labelled"] == 2
    for feature in (4, 7):
        assert http.delete(f"{url}/features/{SAE}/{feature}/label").status_code == 204
    refused(http.delete(f"{url}/features/{SAE}/4/label"), 404, "no label")
    assert found(http, url, sort="label") == []


def test_model_labels_what_no_person_has_labelled(http: httpx.Client, url: str, asked: Endpoint) -> None:
    asked.answer = lambda body: {"choices": [{"message": {"content": '<think>hm\n</think>\nLabel: "the sea."'}}]}
    http.put(f"{url}/features/{SAE}/5/label", json={"label": "mine"})
    answer = http.post(f"{url}/features/{SAE}/labels", json={"features": [5, 6, SILENT]}).json()
    by_hand, by_model, silent = answer["items"]
    assert (by_hand["label"]["label"], by_hand["error"]) == ("mine", None)
    assert by_model["label"].items() >= {"label": "the sea", "source": "model", "author": MODEL}.items()
    assert silent["label"] is None
    assert "never fires" in silent["error"]
    [body] = asked.asked
    assert (body["model"], body["path"]) == (MODEL, "/v1/chat/completions")
    assert f"<<{word_of(6)}" in body["messages"][1]["content"].replace("<< ", "<<").lower()
    assert asked.headers[-1]["authorization"] == f"Bearer {LABEL_TOKEN}"
    for feature in (5, 6):
        http.delete(f"{url}/features/{SAE}/{feature}/label")


def test_trouble_at_the_endpoint_is_told_by_feature(http: httpx.Client, url: str, asked: Endpoint) -> None:
    def error_of() -> str:
        answer = http.post(f"{url}/features/{SAE}/labels", json={"features": [6]})
        assert answer.status_code == 200, answer.text
        return answer.json()["items"][0]["error"]

    asked.status = 401
    assert "set HEADWAY_LABEL_TOKEN" in error_of()
    asked.status, asked.answer = 500, lambda body: {"error": f"no luck with {LABEL_TOKEN}"}
    told = error_of()
    assert "answered 500" in told
    assert LABEL_TOKEN not in told
    asked.status = 200
    assert "did not answer as the OpenAI API does" in error_of()
    asked.answer = lambda body: {"choices": [{"message": {"content": " \n"}}]}
    assert "without a label" in error_of()
    asked.answer = lambda body: {"choices": [{"message": {"content": "x" * 2_000_000}}]}
    assert "without an end" in error_of()
    assert found(http, url, labelled=True) == []


def test_token_of_the_endpoint_is_not_shown(http: httpx.Client, url: str) -> None:
    answer = http.get("/api/v1/settings")
    assert "HEADWAY_LABEL_TOKEN" in answer.text
    assert LABEL_TOKEN not in answer.text


def test_bad_requests_name_the_field(http: httpx.Client, url: str, asked: Endpoint) -> None:
    cursor = read(http, f"{url}/features", sae=SAE, limit=5)["next_cursor"]
    refused(http.get(f"{url}/features"), 422, "sae")
    refused(http.get(f"{url}/features", params={"sae": "layer9"}), 404, "layer9", SAE)
    refused(http.get(f"{url}/features", params={"sae": SAE, "sort": "loss"}), 422, "sort")
    refused(http.get(f"{url}/features", params={"sae": SAE, "cursor": "x"}), 422, "cursor")
    refused(http.get(f"{url}/features", params={"sae": SAE, "sort": "label", "cursor": cursor}), 422, "cursor")
    refused(http.get(f"{url}/features", params={"sae": SAE, "sort": "label", "labelled": False}), 422, "labelled")
    refused(http.get(f"{url}/features/{SAE}/330"), 404, "no feature 330")
    refused(http.get(f"{url}/features/{SAE}/-1"), 404, "numbered from 0")
    refused(http.put(f"{url}/features/{SAE}/1/label", json={"label": "  "}), 422, "label")
    refused(http.put(f"{url}/features/{SAE}/330/label", json={"label": "x"}), 404, "no feature 330")
    refused(http.post(f"{url}/features/{SAE}/labels", json={"features": list(range(9))}), 422, "features")
    assert asked.asked == []


def test_what_is_no_index_here_says_where_it_is(installation: Installation, http: httpx.Client, url: str) -> None:
    refused(http.get("/api/v1/artifacts/nothing/feature-index"), 404, "nothing")
    register(installation, "model1", type_="model")
    refused(http.get("/api/v1/artifacts/model1/feature-index"), 404, "of type model")
    register(installation, "features2", host="birch")
    with transaction(installation.engine) as connection:
        see_file_server(connection, "birch", "http://birch:8400")
    refused(http.get("/api/v1/artifacts/features2/feature-index"), 404, "birch", "http://birch:8400")
    broken = register(installation, "features3")
    broken.mkdir()
    (broken / "features.sqlite").write_bytes(b"no database" * 100)
    refused(http.get("/api/v1/artifacts/features3/feature-index"), 409, "run features.index again")


def test_viewer_reads_and_may_not_label(http: httpx.Client, url: str, server: Server) -> None:
    token = http.post("/api/v1/tokens", json={"name": "reader", "role": "viewer"}).json()["token"]
    with server.client(token) as viewer:
        assert viewer.get(f"{url}/feature-index").status_code == 200
        assert viewer.put(f"{url}/features/{SAE}/1/label", json={"label": "x"}).status_code == 403
        assert viewer.post(f"{url}/features/{SAE}/labels", json={"features": [1]}).status_code == 403


def test_without_an_endpoint_no_model_is_asked(installation: Installation, url: str) -> None:
    nobody = {"headway_label_endpoint": "", "headway_label_model": "", "headway_label_token": None}
    with serving(installation.settings.model_copy(update=nobody)) as server, server.client() as http:
        assert read(http, f"{url}/feature-index")["labeller"] is None
        refused(http.post(f"{url}/features/{SAE}/labels", json={"features": [1]}), 409, "HEADWAY_LABEL_ENDPOINT")
