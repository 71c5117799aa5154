"""Who may do what: tokens, roles, the cookie, origins, hosts, guessing; closed by default."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from pydantic import SecretStr

from headway.access import ensure_token
from headway.api.attempts import MOST_FAILURES
from tests.integration.api_server import Server, make_settings, serving

OTHER_PAGE = "http://evil.example"


@pytest.fixture(scope="module")
def server(postgres_url: str, redis_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder: Path = tmp_path_factory.mktemp("data")
    settings = make_settings(
        folder, postgres_url, redis_url, headway_allowed_origins="http://named.example:1234, http://other.example"
    )
    with serving(settings) as running:
        yield running


@pytest.fixture
def browser(server: Server) -> Iterator[httpx.Client]:
    """A browser that opened the dashboard's address."""
    with server.client("") as client:
        assert client.get("/", params={"token": server.token}).status_code == 303
        yield client


def new_token(server: Server, role: str, **more: Any) -> dict[str, Any]:
    with server.client() as admin:
        response = admin.post("/api/v1/tokens", json={"name": f"a {role}", "role": role, **more})
    assert response.status_code == 201, response.text
    return response.json()


def test_nothing_but_health_pages_and_docs_is_open(server: Server) -> None:
    with server.client("") as stranger:
        for path in ("/healthz", "/readyz", "/", "/jobs/abc", "/api/docs", "/api/docs/swagger-ui.css"):
            assert stranger.get(path).status_code == 200, path
        for path in ("/api/v1/jobs", "/api/v1/kinds", "/metrics", "/api/openapi.json", "/api/v1/session"):
            response = stranger.get(path)
            assert response.status_code == 401, path
            assert response.headers["WWW-Authenticate"] == "Bearer"
            assert "headway open" in response.json()["detail"]


@pytest.mark.parametrize("header", ["Bearer wrong", "Basic abc", "Bearer", "", "Bearer é"])
def test_wrong_token_is_401(server: Server, header: str) -> None:
    with server.client("") as stranger:
        assert stranger.get("/api/v1/jobs", headers={"Authorization": header.encode()}).status_code == 401


def test_token_file_is_private_made_once_and_the_same_for_everybody(tmp_path: Path) -> None:
    settings = make_settings(tmp_path / "new", "postgresql://x", "redis://x")
    token = ensure_token(settings)
    file = tmp_path / "new" / "token"
    assert ensure_token(settings) == token == file.read_text()
    assert file.stat().st_mode & 0o777 == 0o600
    assert [entry.name for entry in file.parent.iterdir()] == ["token"]


def test_roles_reach_as_far_as_they_say(server: Server) -> None:
    reached = {
        role: [probe(server, new_token(server, role)["token"], *ask) for ask in ASKS]
        for role in ("viewer", "operator", "admin")
    }
    assert reached == {"viewer": [200, 403, 403], "operator": [200, 422, 403], "admin": [200, 422, 200]}


ASKS = (("GET", "/api/v1/jobs"), ("POST", "/api/v1/jobs"), ("GET", "/api/v1/tokens"))


def probe(server: Server, token: str, method: str, path: str) -> int:
    with server.client(token) as client:
        return client.request(method, path, json={} if method == "POST" else None).status_code


def test_token_is_shown_once_and_never_stored(server: Server) -> None:
    made = new_token(server, "viewer")
    with server.client() as admin:
        listed = admin.get("/api/v1/tokens")
    assert made["id"] in [item["id"] for item in listed.json()["items"]]
    assert made["token"] not in listed.text
    with server.api.runtime.engine.connect() as connection:
        rows = connection.exec_driver_sql("SELECT tokens::text FROM tokens").scalars().all()
    assert not any(made["token"] in row for row in rows)


def test_deleted_token_and_its_cookie_stop_working_at_once(server: Server) -> None:
    made = new_token(server, "operator")
    with server.client("") as browser, server.client(made["token"]) as script, server.client() as admin:
        assert browser.post("/api/v1/session", json={"token": made["token"]}).json()["role"] == "operator"
        assert browser.get("/api/v1/session").json()["name"] == "a operator"
        assert script.get("/api/v1/jobs").status_code == 200
        assert admin.delete(f"/api/v1/tokens/{made['id']}").status_code == 204
        assert admin.delete(f"/api/v1/tokens/{made['id']}").status_code == 404
        assert browser.get("/api/v1/jobs").status_code == 401
        assert script.get("/api/v1/jobs").status_code == 401


def test_expired_token_does_not_work(server: Server) -> None:
    made = new_token(server, "viewer", expires_in_days=1)
    with server.api.runtime.engine.begin() as connection:
        connection.exec_driver_sql("UPDATE tokens SET expires_at = now() WHERE id = %s", (made["id"],))
    assert probe(server, made["token"], "GET", "/api/v1/jobs") == 401


@pytest.mark.parametrize(
    ("body", "field"),
    [({"name": "x", "role": "owner"}, "role"), ({"role": "viewer"}, "name"), ({"name": " ", "role": "viewer"}, "name")],
)
def test_wrong_token_request_names_the_field(server: Server, body: dict[str, str], field: str) -> None:
    with server.client() as admin:
        response = admin.post("/api/v1/tokens", json=body)
    assert [error["field"] for error in response.json()["errors"]] == [field]


def test_token_in_the_address_becomes_the_cookie_at_once(server: Server) -> None:
    with server.client("") as browser:
        response = browser.get("/jobs/abc?tab=logs", params={"tab": "logs", "token": server.token})
        assert response.status_code == 303
        assert response.headers["Location"] == "/jobs/abc?tab=logs"
        cookie = response.headers["Set-Cookie"]
        assert all(part in cookie for part in ("HttpOnly", "SameSite=Strict", "Path=/", "Max-Age="))
        assert server.token not in cookie
        assert cookie.startswith(f"headway_{server.api.gate.installation}=")
        session = browser.get("/api/v1/session").json()
        assert (session["role"], session["installation"]) == ("admin", server.api.gate.installation)


def test_wrong_token_in_the_address_is_taken_out_and_signs_nobody_in(server: Server) -> None:
    with server.client("") as browser:
        response = browser.get("/?token=wrong")
        assert (response.status_code, response.headers["Location"]) == (303, "/")
        assert "Set-Cookie" not in response.headers


def test_exchange_never_leads_to_another_host(server: Server) -> None:
    with server.client("") as browser:
        for path in ("//evil.example/", "/%5Cevil.example/", "/\\evil.example"):
            location = browser.get(f"{server.url}{path}?token={server.token}").headers["Location"]
            assert location.startswith("/")
            assert not location.startswith(("//", "/\\")), location


def test_session_survives_a_restart_but_not_another_token(
    server: Server, browser: httpx.Client, tmp_path: Path
) -> None:
    with serving(server.settings) as restarted, restarted.client("", cookies=browser.cookies) as again:
        assert again.get("/api/v1/session").status_code == 200
    with (
        serving(server.settings.model_copy(update={"headway_token": SecretStr("another-token")})) as changed,
        changed.client("", cookies=browser.cookies) as stranger,
    ):
        assert stranger.get("/api/v1/session").status_code == 401


def test_forged_or_altered_cookie_is_worth_nothing(server: Server, browser: httpx.Client) -> None:
    name, value = server.api.gate.cookie, browser.cookies[server.api.gate.cookie]
    who, until, signature = value.split(".")
    for forged in (
        "",
        ".",
        "..",
        f"{who}.{int(until) + 1}.{signature}",
        f"{who}.{until}.",
        f"x.{until}.{signature}",
        "é",
    ):
        with server.client("") as stranger:
            headers = {"Cookie": f"{name}={forged}".encode()}
            assert stranger.get("/api/v1/session", headers=headers).status_code == 401, forged


def test_sign_out_takes_the_cookie_back(browser: httpx.Client, server: Server) -> None:
    response = browser.delete("/api/v1/session", headers={"Origin": server.url})
    assert response.status_code == 204
    assert browser.get("/api/v1/session").status_code == 401


def test_two_installations_share_a_browser(
    server: Server, browser: httpx.Client, postgres_url: str, redis_url: str, tmp_path: Path
) -> None:
    with serving(make_settings(tmp_path, postgres_url, redis_url)) as second:
        assert second.token != server.token
        # cookies ignore ports: both go to both
        assert browser.get(f"{second.url}/?token={second.token}").status_code == 303
        assert len(browser.cookies) == 2
        for one in (server, second):
            session = browser.get(f"{one.url}/api/v1/session").json()
            assert session["installation"] == one.api.gate.installation


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 403),
        ({"Origin": OTHER_PAGE}, 403),
        ({"Origin": "null"}, 403),
        ({"Sec-Fetch-Site": "cross-site"}, 403),
        ({"Origin": OTHER_PAGE, "Sec-Fetch-Site": "same-origin"}, 403),
        ({"Origin": "<own>"}, 404),
        ({"Origin": "http://named.example:1234"}, 404),
        ({"Sec-Fetch-Site": "same-origin"}, 404),
    ],
)
def test_cookie_changes_things_only_from_our_pages(
    server: Server, browser: httpx.Client, headers: dict[str, str], status: int
) -> None:
    sent = {name: server.url if value == "<own>" else value for name, value in headers.items()}
    assert browser.post("/api/v1/jobs/aaaaaaaaaaaa/cancel", headers=sent).status_code == status
    assert browser.get("/api/v1/jobs", headers=sent).status_code == 200


def test_bearer_needs_no_origin(server: Server) -> None:
    with server.client() as script:
        assert script.post("/api/v1/jobs/aaaaaaaaaaaa/cancel", headers={"Origin": OTHER_PAGE}).status_code == 404


def test_only_named_origins_get_cors(server: Server) -> None:
    ask = {"Access-Control-Request-Method": "POST"}
    with server.client() as script:
        named = script.options("/api/v1/jobs", headers=ask | {"Origin": "http://other.example"})
        assert (named.status_code, named.headers["Access-Control-Allow-Origin"]) == (204, "http://other.example")
        other = script.options("/api/v1/jobs", headers=ask | {"Origin": OTHER_PAGE})
        assert (other.status_code, "Access-Control-Allow-Origin" in other.headers) == (405, False)


def test_every_response_carries_security_headers(server: Server) -> None:
    with server.client() as client:
        for path in ("/", "/api/v1/jobs", "/api/v1/nothing", "/healthz", "/api/docs"):
            headers = client.get(path).headers
            assert "frame-ancestors 'none'" in headers["Content-Security-Policy"]
            assert "script-src 'self'" in headers["Content-Security-Policy"]
            assert headers["X-Content-Type-Options"] == "nosniff"
            assert headers["Referrer-Policy"] == "no-referrer"
            assert headers["X-Request-ID"]


def test_request_id_of_the_client_is_kept_when_it_is_sane(server: Server) -> None:
    with server.client() as client:
        assert client.get("/healthz", headers={"X-Request-ID": "abc-12345"}).headers["X-Request-ID"] == "abc-12345"
        assert client.get("/healthz", headers={"X-Request-ID": "a b"}).headers["X-Request-ID"] != "a b"


def test_guessing_is_slowed_down_for_its_address_alone(server: Server) -> None:
    guesser = {"X-Forwarded-For": "198.51.100.7"}
    with server.client("wrong") as client:
        statuses = [client.get("/api/v1/jobs", headers=guesser).status_code for _ in range(MOST_FAILURES + 1)]
        assert statuses == [401] * MOST_FAILURES + [429]
        response = client.get("/api/v1/jobs", headers=guesser)
        assert response.headers["Retry-After"]
        assert client.get("/api/v1/jobs", headers={"X-Forwarded-For": "198.51.100.8"}).status_code == 401


def test_without_auth_everybody_here_is_admin_but_no_other_name_and_no_other_page(
    postgres_url: str, redis_url: str, tmp_path: Path
) -> None:
    settings = make_settings(tmp_path, postgres_url, redis_url, headway_auth="off")
    with serving(settings) as server, server.client("") as client:
        assert client.get("/api/v1/session").json()["role"] == "admin"
        assert client.get("/api/v1/jobs", headers={"Host": "rebound.example"}).status_code == 403
        assert client.get("/", headers={"Host": "rebound.example"}).status_code == 403
        assert client.get("/api/v1/jobs", headers={"Host": "localhost:1"}).status_code == 200
        cancel = "/api/v1/jobs/aaaaaaaaaaaa/cancel"
        assert client.post(cancel, headers={"Origin": OTHER_PAGE}).status_code == 403
        assert client.post(cancel, headers={"Sec-Fetch-Site": "cross-site"}).status_code == 403
        assert client.post(cancel, headers={"Origin": server.url}).status_code == 404
        assert client.post(cancel).status_code == 404, "a script without a token is refused"
