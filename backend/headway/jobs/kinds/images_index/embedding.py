"""Phase 1: every picture gets a vector and a thumbnail, once for each content."""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import partial

import numpy as np

from headway.jobs.kinds.images_index.embedders import Floats
from headway.jobs.kinds.images_index.pictures import THUMB_SIDE, decode, thumbnail
from headway.jobs.kinds.images_index.prefetch import ahead
from headway.jobs.kinds.images_index.session import Pace, Session, batches
from headway.jobs.kinds.images_index.sources import UnreadableError
from headway.jobs.kinds.images_index.work import PictureRow

_HEAD = struct.Struct("<III")  # width, height, bytes of the vector


@dataclass(frozen=True, slots=True)
class Loaded:
    """A picture read ahead: prepared for the embedder unless it is broken (`error`) or was known then."""

    no: int
    hash: bytes
    bytes: int
    error: str | None = None
    size: tuple[int, int] = (0, 0)
    prepared: Floats | None = None
    thumb: bytes = b""


def embed_pictures(session: Session) -> None:
    """Embed all pictures from where the work stands. A batch is always of the same pictures: so are its bits."""
    what = f"picture/{THUMB_SIDE}/{session.embedder.key}"
    known = session.known("embedding", what)
    first, total, pace = session.work.counts.embedded, len(session.names), Pace()
    load = partial(_load, session, known)
    with (
        session.job.count(unit="picture", total=total, start=first) as counter,
        closing(ahead(session.pool, load, range(first, total), session.depth)) as loaded,
    ):
        for batch in batches(loaded, session.config.batch_size):
            _embed(session, what, known, batch)
            counter.current = done = batch[-1].no + 1
            counts = session.work.counts
            session.job.log(
                done,
                **{"embedding/broken": counts.broken, "embedding/reused": counts.reused},
                pictures_per_s=pace.of(len(batch)),
            )
            session.heed(done)


def _embed(session: Session, what: str, known: set[bytes], batch: Sequence[Loaded]) -> None:
    """One batch: what is not known is embedded, kept for all sessions, and stored in this one."""
    found = {each.hash: row for each in batch if each.hash in known and (row := session.cache.get(each.hash, what))}
    new = {each.hash: each for each in batch if not each.error and each.hash not in found}
    made: dict[bytes, bytes] = {}
    if new:
        # what was known while it was read, and is not any more, is read again
        whole = [each if each.prepared is not None else _load(session, set(), each.no) for each in new.values()]
        vectors = session.embedder.embed(np.stack([_prepared(each) for each in whole]))
        made = {each.hash: _packed(each, vector) for each, vector in zip(whole, vectors, strict=True)}
    session.cache.put(what, made, found)
    known |= made.keys()
    values = {digest: (value, False) for digest, value in made.items()}
    values |= {digest: (value, not own) for digest, (value, own) in found.items()}
    session.work.add_pictures([_row(each, *values.get(each.hash, (b"", False))) for each in batch])


def _load(session: Session, known: set[bytes], no: int) -> Loaded:
    """Read, hash and, unless its content is known, decode and prepare one picture."""
    try:
        content = session.source.read(session.names[no])
    except UnreadableError as error:
        return Loaded(no, b"", 0, str(error))
    digest = hashlib.sha256(content).digest()
    if digest in known:
        return Loaded(no, digest, len(content))
    try:
        side = max(session.embedder.side, THUMB_SIDE)
        image, size = decode(content, most_pixels=session.most_pixels, side=side)
    except UnreadableError as error:
        return Loaded(no, digest, len(content), str(error))
    prepared = session.embedder.prepare(image)
    return Loaded(no, digest, len(content), None, size, prepared, thumbnail(image))


def _prepared(loaded: Loaded) -> Floats:
    if loaded.prepared is None:
        raise RuntimeError(f"picture {loaded.no} changed while it was read: run the session again")
    return loaded.prepared


def _packed(loaded: Loaded, vector: Floats) -> bytes:
    return _HEAD.pack(*loaded.size, vector.nbytes) + vector.tobytes() + loaded.thumb


def _row(loaded: Loaded, value: bytes, reused: bool) -> PictureRow:
    if loaded.error:
        return PictureRow(loaded.no, loaded.hash, loaded.bytes, 0, 0, loaded.error, False, b"", b"")
    width, height, length = _HEAD.unpack_from(value)
    vector, thumb = value[_HEAD.size : _HEAD.size + length], value[_HEAD.size + length :]
    return PictureRow(loaded.no, loaded.hash, loaded.bytes, width, height, None, reused, vector, thumb)
