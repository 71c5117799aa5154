"""The small hub, with the routes by which huggingface_hub makes a repository and commits to it."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from aiohttp import web

from tests.integration.hub_fixture import LFS_SUFFIXES, START_SECONDS, Hub, _serve


@dataclass
class WritableHub(Hub):
    """Takes uploads by Git LFS' basic transfer from whoever has `token`. `puts` counts contents that came in."""

    token: str = "hf_writer"
    puts: int = 0
    commits: list[str] = field(default_factory=list)
    private: dict[str, bool] = field(default_factory=dict)
    contents: dict[str, bytes] = field(default_factory=dict)

    def routes(self) -> list[web.RouteDef]:
        """Those for reading, and those for writing."""
        api = "/api/models/{owner}/{name}"
        return [
            *super().routes(),
            web.post("/api/repos/create", self._create),
            web.post("/api/validate-yaml", self._valid),
            web.post(api + "/preupload/{revision}", self._preupload),
            web.post("/{owner}/{name}.git/info/lfs/objects/batch", self._batch),
            web.put("/lfs/{digest}", self._put),
            web.post(api + "/commit/{revision}", self._commit_files),
        ]

    def _writer(self, request: web.Request) -> None:
        if request.headers.get("Authorization") != f"Bearer {self.token}":
            raise web.HTTPForbidden(text="this token may not write")

    async def _create(self, request: web.Request) -> web.Response:
        self._writer(request)
        asked = await request.json()
        repo = f"{asked['organization']}/{asked['name']}"
        (self.root / "models" / repo).mkdir(parents=True, exist_ok=True)
        self.private[repo] = asked.get("visibility") == "private"
        return web.json_response({"url": f"{self.url}/{repo}"})

    async def _valid(self, request: web.Request) -> web.Response:
        return web.json_response({"errors": [], "warnings": []})

    async def _preupload(self, request: web.Request) -> web.Response:
        self._writer(request)
        files = [
            {"path": name, "uploadMode": "lfs" if name.endswith(LFS_SUFFIXES) else "regular", "shouldIgnore": False}
            for name in (each["path"] for each in (await request.json())["files"])
        ]
        return web.json_response({"files": files})

    async def _batch(self, request: web.Request) -> web.Response:
        self._writer(request)
        objects: list[dict[str, object]] = []
        for each in (await request.json())["objects"]:
            wanted = {"upload": {"href": f"{self.url}/lfs/{each['oid']}"}}
            objects.append(each if each["oid"] in self.contents else each | {"actions": wanted})
        return web.json_response({"transfer": "basic", "objects": objects})

    async def _put(self, request: web.Request) -> web.Response:
        content = await request.read()
        digest = request.match_info["digest"]
        if hashlib.sha256(content).hexdigest() != digest:
            raise web.HTTPBadRequest(text="other content than was announced")
        self.puts += 1
        self.contents[digest] = content
        return web.Response()

    async def _commit_files(self, request: web.Request) -> web.Response:
        self._writer(request)
        folder = self._folder(request)
        for line in (await request.text()).splitlines():
            entry = json.loads(line)
            value = entry["value"]
            if entry["key"] == "header":
                self.commits.append(value["summary"])
                continue
            path = folder / value["path"]
            path.parent.mkdir(parents=True, exist_ok=True)
            large = entry["key"] == "lfsFile"
            path.write_bytes(self.contents[value["oid"]] if large else base64.b64decode(value["content"]))
        commit, repo = self._commit(folder), f"{folder.parent.name}/{folder.name}"
        return web.json_response(
            {"success": True, "commitUrl": f"{self.url}/{repo}/commit/{commit}", "commitOid": commit}
        )


@contextmanager
def running_writable_hub(root: Path) -> Iterator[WritableHub]:
    """A hub serving `root` from a thread until the block ends."""
    hub = WritableHub(root)
    started, stop = threading.Event(), threading.Event()
    thread = threading.Thread(target=lambda: asyncio.run(_serve(hub, started, stop)), daemon=True)
    thread.start()
    try:
        assert started.wait(START_SECONDS), "the hub did not start"
        yield hub
    finally:
        stop.set()
        thread.join(START_SECONDS)
