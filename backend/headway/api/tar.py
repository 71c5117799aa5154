"""A folder as a tar archive, streamed: its length is known ahead, and never more than a piece of it is in memory."""

from __future__ import annotations

import asyncio
import stat
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from aiohttp import web

PIECE_BYTES = 1 << 20
_BLOCK = tarfile.BLOCKSIZE
_END = bytes(2 * _BLOCK)


@dataclass(frozen=True, slots=True)
class _Member:
    file: Path
    header: bytes
    size: int

    @property
    def padding(self) -> int:
        return -self.size % _BLOCK


async def stream_folder(request: web.Request, folder: Path, name: str) -> web.StreamResponse:
    """Answer `<name>.tar`, with every regular file of `folder` (or the one file it is) below `<name>/`."""
    members = await asyncio.to_thread(lambda: list(_members(folder, name)))
    response = web.StreamResponse(
        headers={
            "Content-Type": "application/x-tar",
            "Content-Disposition": f'attachment; filename="{name}.tar"',
            "Content-Length": str(sum(len(m.header) + m.size + m.padding for m in members) + len(_END)),
        }
    )
    await response.prepare(request)
    if request.method != "HEAD":
        for member in members:
            await _write(response, member)
        await response.write(_END)
    await response.write_eof()
    return response


def _members(folder: Path, name: str) -> Iterator[_Member]:
    files = sorted(folder.rglob("*")) if folder.is_dir() else [folder]
    for file in files:
        status = file.lstat()
        if not stat.S_ISREG(status.st_mode):
            continue  # links could lead out of the folder
        inner = file.relative_to(folder) if folder.is_dir() else Path(file.name)
        info = tarfile.TarInfo(f"{name}/{inner.as_posix()}")
        info.size, info.mtime = status.st_size, int(status.st_mtime)
        yield _Member(file, info.tobuf(tarfile.PAX_FORMAT), status.st_size)


async def _write(response: web.StreamResponse, member: _Member) -> None:
    await response.write(member.header)
    rest = member.size
    with member.file.open("rb") as file:
        while rest:
            piece = await asyncio.to_thread(file.read, min(PIECE_BYTES, rest))
            if not piece:
                raise ConnectionResetError(f"{member.file.name} became shorter while it was sent")
            await response.write(piece)
            rest -= len(piece)
    await response.write(bytes(member.padding))
