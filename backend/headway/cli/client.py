"""The API as the command line uses it: find the installation, ask, and turn problems into our errors."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import quote

import httpx

from headway.access import TOKEN_FILE
from headway.errors import HeadwayError, UnavailableError
from headway.local.installation import reachable_host, read_info
from headway.sdk.problems import error_of
from headway.settings import Settings, get_settings

Json = dict[str, Any]
TIMEOUT_SECONDS = 30.0
PAGE = 500


class Client:
    """Headway's HTTP API, version 1."""

    def __init__(self, url: str, token: str) -> None:
        self.url = url
        self.token = token
        self._http = httpx.Client(
            base_url=url,
            headers={"Authorization": f"Bearer {token}"} if token else {},
            timeout=TIMEOUT_SECONDS,
            trust_env=False,  # a proxy for the outer world does not know this machine's loopback
        )

    @property
    def dashboard(self) -> str:
        """The dashboard's address, which signs its visitor in."""
        return f"{self.url}/?token={self.token}" if self.token else self.url

    def close(self) -> None:
        """Give the connections back."""
        self._http.close()

    def get(self, path: str, **query: Any) -> Json:
        """GET below /api/v1."""
        return self._ask("GET", f"/api/v1{path}", params={k: v for k, v in query.items() if v is not None})

    def post(self, path: str, body: Json | None = None) -> Json:
        """POST below /api/v1."""
        return self._ask("POST", f"/api/v1{path}", json=body or {})

    def put(self, path: str, content: bytes, query: Json) -> Json:
        """PUT bytes below /api/v1."""
        return self._ask("PUT", f"/api/v1{path}", content=content, params=query)

    def job(self, job_id: str) -> Json:
        """One job."""
        return self.get(f"/jobs/{quote(job_id, safe='')}")

    def act(self, job_id: str, action: str, body: Json | None = None) -> Json:
        """Cancel, pause, resume or retry a job."""
        return self.post(f"/jobs/{quote(job_id, safe='')}/{action}", body)

    def ready(self) -> Json:
        """What /readyz says."""
        return self._ask("GET", "/readyz")

    def log_lines(self, job_id: str, after: int = 0) -> Iterator[Json]:
        """The job's log lines after line number `after`, all that there are now."""
        while True:
            page = self.get(f"/jobs/{quote(job_id, safe='')}/logs", after=after, limit=PAGE)
            yield from page["items"]
            if len(page["items"]) < PAGE:
                return
            after = page["next"]

    def _ask(self, method: str, path: str, **arguments: Any) -> Json:
        try:
            response = self._http.request(method, path, **arguments)
        except httpx.HTTPError as error:
            raise UnavailableError(
                f"No Headway answers at {self.url} ({error}). Start it with `headway up`, or say where it is by "
                "HEADWAY_DATA_DIR, or by HEADWAY_HOST, HEADWAY_PORT and HEADWAY_TOKEN."
            ) from None
        if response.is_error:
            raise _error(response)
        return response.json()


def _error(response: httpx.Response) -> HeadwayError:
    try:
        return error_of(response.status_code, response.json())
    except ValueError:
        return error_of(response.status_code, None)


def locate(settings: Settings) -> tuple[str, str]:
    """Address and token: those of HEADWAY_HOST and HEADWAY_PORT if set, else of what runs on the data directory."""
    running = read_info(settings.headway_data_dir)
    asked = {"headway_host", "headway_port"} & settings.model_fields_set
    if running and (not asked or (running.host, running.port) == (settings.headway_host, settings.headway_port)):
        return running.url, running.token
    url = f"http://{reachable_host(settings.headway_host)}:{settings.headway_port}"
    if settings.headway_token:
        return url, settings.headway_token.get_secret_value()
    file = settings.headway_data_dir / TOKEN_FILE
    return url, file.read_text().strip() if file.exists() else ""


def database_url(settings: Settings) -> str:
    """HEADWAY_DATABASE_URL, else the embedded one that runs. Raises UnavailableError without either."""
    if settings.headway_database_url:
        return settings.headway_database_url
    if running := read_info(settings.headway_data_dir):
        return running.database_url
    raise UnavailableError("No database: set HEADWAY_DATABASE_URL, or start Headway here with `headway up`.")


@contextmanager
def connected() -> Iterator[Client]:
    """A client of the installation that the environment names."""
    client = Client(*locate(get_settings()))
    try:
        yield client
    finally:
        client.close()
