"""Uploads: files that a person sends, in parts, and that become an artifact."""

from __future__ import annotations

import asyncio
from functools import partial

from aiohttp import StreamReader, web
from pydantic import BaseModel, ConfigDict, Field

from headway.api.dispatch import json_response
from headway.api.errors import TooSlowError
from headway.api.route import Call, Route
from headway.errors import TooLargeError
from headway.services import begin_upload, receive_upload
from headway.services.begin_upload import ArrivingFile, UploadRequest, UploadView
from headway.services.read_artifacts import ArtifactView

PIECE_BYTES = 1 << 20
#: A client that sends nothing for so long has to send its part again from where it broke off.
QUIET_SECONDS = 30.0


class PartQuery(BaseModel):
    """Which bytes the body holds."""

    model_config = ConfigDict(extra="forbid")

    path: str = Field(min_length=1, max_length=1024, description="The file, as it was announced.")
    offset: int = Field(0, ge=0, description="Where they belong: as far as the file has arrived.")


def begin(call: Call, body: UploadRequest) -> UploadView:
    """Announce what is to come."""
    runtime = call.api.runtime
    return begin_upload.begin_upload(runtime.engine, runtime.settings, body, owner=call.identity.name)


def show(call: Call, upload_id: str) -> UploadView:
    """How far it has arrived."""
    return receive_upload.read_upload(call.api.runtime.engine, call.api.runtime.settings, upload_id)


async def receive(call: Call, upload_id: str, query: PartQuery) -> web.StreamResponse:
    """Write the body to the disk as it comes; the memory it takes is that of one piece."""
    runtime, pool, content = call.api.runtime, call.api.pool, call.request.content
    most = begin_upload.part_bytes(runtime.settings)
    if (call.request.content_length or 0) > most:
        raise TooLargeError(f"one request carries at most {most:,} bytes (part_bytes): send the file in parts")
    opening = partial(receive_upload.open_part, runtime.engine, runtime.settings, upload_id, query.path, query.offset)
    part = await pool.run(opening)
    try:
        while piece := await _piece(content):
            if part.received + len(piece) - query.offset > most:
                raise TooLargeError(f"one request carries at most {most:,} bytes (part_bytes)")
            await pool.run(partial(part.write, piece))
        await pool.run(part.settle)
    finally:
        part.close()
    return json_response(ArrivingFile(path=query.path, bytes=part.whole, received=part.received))


def finish(call: Call, upload_id: str) -> ArtifactView:
    """Check it and make it an artifact."""
    return receive_upload.finish_upload(call.api.runtime.engine, call.api.runtime.settings, upload_id)


def give_up(call: Call, upload_id: str) -> None:
    """Remove what has arrived."""
    receive_upload.abandon_upload(call.api.runtime.engine, call.api.runtime.settings, upload_id)


async def _piece(content: StreamReader) -> bytes:
    try:
        async with asyncio.timeout(QUIET_SECONDS):
            return await content.read(PIECE_BYTES)
    except TimeoutError:
        raise TooSlowError(f"nothing came for {QUIET_SECONDS:.0f} s: ask how far the file is and go on there") from None


_UPLOADS = "/api/v1/uploads"
ROUTES = (
    Route(
        method="POST",
        path=_UPLOADS,
        role="operator",
        handler=begin,
        summary="Announce files to upload; answers where to send them",
        body=UploadRequest,
        answer=UploadView,
        status=201,
    ),
    Route(
        method="GET",
        path=_UPLOADS + "/{upload_id}",
        role="operator",
        handler=show,
        summary="How much of each file has arrived",
        answer=UploadView,
    ),
    Route(
        method="PUT",
        path=_UPLOADS + "/{upload_id}/file",
        role="operator",
        handler=receive,
        summary="Send bytes of a file (the body as it is), from where it has arrived; at most part_bytes of them",
        query=PartQuery,
        answer=ArrivingFile,
        streamed=True,
    ),
    Route(
        method="POST",
        path=_UPLOADS + "/{upload_id}/finish",
        role="operator",
        handler=finish,
        summary="Check what has arrived and make it an artifact that is ready",
        answer=ArtifactView,
    ),
    Route(
        method="DELETE",
        path=_UPLOADS + "/{upload_id}",
        role="operator",
        handler=give_up,
        summary="Give an unfinished upload up",
        status=204,
    ),
)
