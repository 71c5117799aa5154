"""A small hub on a port of its own: serves a folder by the hub's routes, and misbehaves when told to."""

from __future__ import annotations

import asyncio
import hashlib
import socket
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from aiohttp import web

START_SECONDS = 10
LFS_SUFFIXES = (".safetensors", ".gguf", ".bin", ".parquet")
ELSEWHERE = "/elsewhere"


@dataclass
class Fault:
    """Spoils one answer for a file: closes (`fin`), resets (`rst`) or stalls the connection after some bytes of the
    body, spoils a byte of it (`flip`), answers `status` instead, with `headers`, or nothing at all (`mute`)."""

    how: Literal["fin", "rst", "stall", "flip", "status", "mute"]
    after_bytes: int = 0
    status: int = 503
    headers: dict[str, str] = field(default_factory=dict)


@dataclass
class Hub:
    """`root`/{models,datasets}/<owner>/<name>/... as a hub. `faults` are used up one an answer, in order."""

    root: Path
    url: str = ""
    faults: dict[str, list[Fault]] = field(default_factory=dict)
    gated: set[str] = field(default_factory=set)
    wrong_hashes: set[str] = field(default_factory=set)
    ranges: list[tuple[str, int]] = field(default_factory=list)
    tokens_seen: list[str | None] = field(default_factory=list)
    #: Large files are then answered by a redirect to another host name, as hubs do; its tokens are seen apart.
    redirects: bool = False
    tokens_elsewhere: list[str | None] = field(default_factory=list)
    #: What a listing answers instead, one an answer.
    listing_faults: list[Fault] = field(default_factory=list)

    def add(self, kind: str, repo: str, files: dict[str, bytes]) -> None:
        """Put a repository there."""
        for name, content in files.items():
            path = self.root / kind / repo / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)

    def starts(self, name: str) -> list[int]:
        """The first bytes asked for in each request for a file."""
        return [start for path, start in self.ranges if path == name]

    def routes(self) -> list[web.RouteDef]:
        """The routes huggingface_hub and a downloader use."""
        api = "/api/{kind:models|datasets}/{owner}/{name}"
        return [
            web.get(api, self._info),
            web.get(api + "/revision/{revision}", self._info),
            web.get(api + "/tree/{revision}", self._tree),
            web.get(ELSEWHERE + "/{kind}/{owner}/{name}/{path:.+}", self._elsewhere),
            web.get("/{kind:datasets}/{owner}/{name}/resolve/{revision}/{path:.+}", self._file),
            web.get("/{owner}/{name}/resolve/{revision}/{path:.+}", self._file),
        ]

    def _folder(self, request: web.Request) -> Path:
        match = request.match_info
        repo = f"{match['owner']}/{match['name']}"
        folder = self.root / match.get("kind", "models") / repo
        if repo in self.gated:
            raise web.HTTPForbidden(headers={"X-Error-Code": "GatedRepo"})
        if not folder.is_dir():
            raise web.HTTPNotFound(headers={"X-Error-Code": "RepoNotFound"})
        if match.get("revision", "main") not in ("main", self._commit(folder)):
            raise web.HTTPNotFound(headers={"X-Error-Code": "RevisionNotFound"})
        return folder

    @staticmethod
    def _commit(folder: Path) -> str:
        names = [str(path.relative_to(folder)) for path in sorted(folder.rglob("*"))]
        return hashlib.sha1("\n".join(names).encode()).hexdigest()

    async def _info(self, request: web.Request) -> web.Response:
        self.tokens_seen.append(request.headers.get("Authorization"))
        if self.listing_faults:
            fault = self.listing_faults.pop(0)
            return web.Response(status=fault.status, headers=fault.headers)
        folder = self._folder(request)
        repo = f"{request.match_info['owner']}/{request.match_info['name']}"
        return web.json_response({"id": repo, "sha": self._commit(folder), "tags": ["license:mit"], "siblings": []})

    async def _tree(self, request: web.Request) -> web.Response:
        folder = self._folder(request)
        return web.json_response([self._entry(folder, path) for path in sorted(folder.rglob("*")) if path.is_file()])

    def _entry(self, folder: Path, path: Path) -> dict[str, object]:
        name, content = path.relative_to(folder).as_posix(), path.read_bytes()
        told = b"something else" if name in self.wrong_hashes else content
        blob = hashlib.sha1(b"blob %d\0" % len(content) + told).hexdigest()
        entry: dict[str, object] = {"type": "file", "path": name, "size": len(content), "oid": blob}
        if name.endswith(LFS_SUFFIXES):
            digest = hashlib.sha256(told).hexdigest()
            entry["lfs"] = {"oid": digest, "size": len(content), "pointerSize": 134}
        return entry

    async def _file(self, request: web.Request) -> web.StreamResponse:
        name, folder = request.match_info["path"], self._folder(request)
        if self.redirects and name.endswith(LFS_SUFFIXES):
            port = request.url.port
            where = f"{request.match_info.get('kind', 'models')}/{folder.parent.name}/{folder.name}/{name}"
            raise web.HTTPFound(f"http://localhost:{port}{ELSEWHERE}/{where}")
        return await self._content(request, name, (folder / name).read_bytes())

    async def _elsewhere(self, request: web.Request) -> web.StreamResponse:
        self.tokens_elsewhere.append(request.headers.get("Authorization"))
        match = request.match_info
        path = self.root / match["kind"] / match["owner"] / match["name"] / match["path"]
        return await self._content(request, match["path"], path.read_bytes())

    async def _content(self, request: web.Request, name: str, content: bytes) -> web.StreamResponse:
        start, stop = request.http_range.start or 0, request.http_range.stop or len(content)
        self.ranges.append((name, start))
        fault = self.faults[name].pop(0) if self.faults.get(name) else None
        if fault and fault.how == "status":
            return web.Response(status=fault.status, headers=fault.headers)
        if fault and fault.how == "mute":
            await asyncio.Event().wait()
        if fault and fault.how == "flip":
            content = (
                content[: fault.after_bytes]
                + bytes([content[fault.after_bytes] ^ 1])
                + content[fault.after_bytes + 1 :]
            )
            fault = None
        response = web.StreamResponse(status=206 if "Range" in request.headers else 200)
        response.headers["Content-Range"] = f"bytes {start}-{stop - 1}/{len(content)}"
        response.content_length = stop - start
        await response.prepare(request)
        if fault is None:
            await response.write(content[start:stop])
        else:
            await response.write(content[start : start + fault.after_bytes])
            await self._spoil(request, fault)
        return response

    @staticmethod
    async def _spoil(request: web.Request, fault: Fault) -> None:
        transport = request.transport
        assert transport is not None
        if fault.how == "stall":
            await asyncio.Event().wait()
        await asyncio.sleep(0.05)  # lets the bytes sent so far go out before the reset drops them
        if fault.how == "rst":
            linger = struct.pack("ii", 1, 0)
            transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        transport.abort()


@contextmanager
def running_hub(root: Path) -> Iterator[Hub]:
    """A hub serving `root` from a thread until the block ends."""
    hub = Hub(root)
    started, stop = threading.Event(), threading.Event()
    thread = threading.Thread(target=lambda: asyncio.run(_serve(hub, started, stop)), daemon=True)
    thread.start()
    try:
        assert started.wait(START_SECONDS), "the hub did not start"
        yield hub
    finally:
        stop.set()
        thread.join(START_SECONDS)


async def _serve(hub: Hub, started: threading.Event, stop: threading.Event) -> None:
    app = web.Application()
    app.add_routes(hub.routes())
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    host, port = runner.addresses[0][:2]
    hub.url = f"http://{host}:{port}"
    started.set()
    await asyncio.to_thread(stop.wait)
    await runner.cleanup()
