"""Fetches a folder from another host's API: what arrived before is gone on with, and every file is verified."""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from headway.errors import PullError

CONNECT_SECONDS = 5.0
#: The other host may first have to hash what it lists.
LIST_SECONDS = 600.0
QUIET_SECONDS = 30.0
TRIES = 4


@dataclass(frozen=True, slots=True)
class Wanted:
    """A folder on another host: the API there, the path of what it belongs to, and where it is to be."""

    server: str
    thing: str
    target: Path


def pull(wanted: Wanted, token: str, heed: Callable[[], None]) -> int:
    """Bring all files, then put the folder in its place; how many bytes it holds.

    `heed` is called after each piece and may raise to end it. Raises PullError. What arrived stays in either case.
    """
    partial = wanted.target.with_name(f".{wanted.target.name}.partial")
    timeout = httpx.Timeout(QUIET_SECONDS, connect=CONNECT_SECONDS)
    headers = {"Authorization": f"Bearer {token}", "Accept-Encoding": "identity"}
    base = f"{wanted.server.rstrip('/')}/api/v1/{wanted.thing}"
    try:
        with httpx.Client(headers=headers, timeout=timeout, trust_env=False) as client:
            entries = _listed(client, base)
            for entry in entries:
                _bring(client, base, entry, _inside(partial, entry["path"]), heed)
    except httpx.HTTPError as error:
        raise PullError(f"{wanted.server} does not send {wanted.thing}: {error or type(error).__name__}") from error
    partial.mkdir(parents=True, exist_ok=True)  # of no files at all
    shutil.rmtree(wanted.target, ignore_errors=True)
    partial.rename(wanted.target)
    return sum(entry["bytes"] for entry in entries)


def _listed(client: httpx.Client, base: str) -> list[dict[str, Any]]:
    response = client.get(f"{base}/files", timeout=httpx.Timeout(LIST_SECONDS, connect=CONNECT_SECONDS))
    _require(response)
    return response.json()["items"]


def _bring(client: httpx.Client, base: str, entry: dict[str, Any], file: Path, heed: Callable[[], None]) -> None:
    """Fetch a file, as often as it breaks off from where it broke off; one that came wrong, from the start."""
    file.parent.mkdir(parents=True, exist_ok=True)
    problem: Exception | None = None
    for _ in range(TRIES):
        try:
            _fetch_rest(client, base, entry, file, heed)
        except httpx.TransportError as error:
            problem = error
            continue
        if _sha256(file) == entry["sha256"]:
            return
        file.unlink()
        problem = PullError(f"{entry['path']} does not have the checksum it should")
    raise problem if problem else PullError(f"{entry['path']} did not come")


def _fetch_rest(client: httpx.Client, base: str, entry: dict[str, Any], file: Path, heed: Callable[[], None]) -> None:
    have = file.stat().st_size if file.exists() else 0
    if have >= entry["bytes"]:
        file.touch()
        return
    headers = {"Range": f"bytes={have}-"} if have else {}
    with client.stream("GET", f"{base}/file", params={"path": entry["path"]}, headers=headers) as response:
        _require(response)
        with file.open("ab" if response.status_code == httpx.codes.PARTIAL_CONTENT else "wb") as opened:
            # pieces as they come: gathered into larger ones, a cut would lose what was gathered
            for piece in response.iter_raw():
                opened.write(piece)
                heed()
            opened.flush()
            os.fsync(opened.fileno())


def _require(response: httpx.Response) -> None:
    if response.is_success:
        return
    response.read()
    try:
        detail = response.json()["detail"]
    except (ValueError, KeyError, TypeError):
        detail = response.reason_phrase
    raise PullError(f"{response.url.host} answers {response.status_code}: {detail}")


def _inside(folder: Path, path: str) -> Path:
    file = folder / path
    if ".." in Path(path).parts or Path(path).is_absolute():
        raise PullError(f"the path {path!r} leads out of its folder")
    return file


def _sha256(file: Path) -> str:
    with file.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()
