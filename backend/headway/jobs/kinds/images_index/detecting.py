"""Phase 2: faces are found on every picture, cut out and embedded, once for each content."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple, TypedDict

import numpy as np

from headway.jobs.kinds.images_index.embedders import Floats
from headway.jobs.kinds.images_index.faces import cut_out
from headway.jobs.kinds.images_index.pictures import decode, scaled_to, thumbnail
from headway.jobs.kinds.images_index.prefetch import ahead
from headway.jobs.kinds.images_index.session import Pace, Session, batches
from headway.jobs.kinds.images_index.sources import UnreadableError
from headway.jobs.kinds.images_index.work import FaceRow

FACE_THUMB_SIDE = 112


class Picture(NamedTuple):
    """A picture to look at: its number, the hash it had when it was embedded, and whether it is broken."""

    no: int
    hash: bytes
    broken: bool


class Found(NamedTuple):
    """A face cut out, prepared for the embedder; its box in shares of the picture."""

    box: tuple[float, float, float, float]
    score: float
    prepared: Floats
    thumb: bytes


class Kept(TypedDict):
    """A face as the cache keeps it; vector and thumb in base64."""

    box: tuple[float, float, float, float]
    score: float
    vector: str
    thumb: str


@dataclass(frozen=True, slots=True)
class Looked:
    """A picture looked at ahead: its faces are None where it was known then or is broken."""

    picture: Picture
    error: str | None = None
    faces: Sequence[Found] | None = None


def find_faces(session: Session) -> None:
    """Look at all pictures from where the work stands."""
    side, detector, embedder = session.config.detection_side, session.detector, session.embedder
    what = f"faces/{side}/{detector.key}/{embedder.key}"
    known = session.known("face_detection", what)
    first, total, pace = session.work.counts.looked, len(session.names), Pace()
    look = partial(_look, session, known)
    pictures = (Picture(*row) for row in session.work.hashes(first))
    with (
        session.job.count(unit="picture", total=total, start=first) as counter,
        closing(ahead(session.pool, look, pictures, session.depth)) as looked,
    ):
        for batch in batches(looked, session.config.batch_size):
            _keep(session, what, known, batch)
            counter.current = done = batch[-1].picture.no + 1
            counts = session.work.counts
            session.job.log(
                total + done,
                **{"face_detection/broken": counts.look_broken, "face_detection/reused": counts.look_reused},
                faces=counts.faces,
                pictures_per_s=pace.of(len(batch)),
            )
            session.heed(total + done)


def _keep(session: Session, what: str, known: set[bytes], batch: Sequence[Looked]) -> None:
    """One batch: faces that are not known are embedded, kept for all sessions, and stored in this one."""
    hashes = [each.picture.hash for each in batch]
    found = {digest: row for digest in hashes if digest in known and (row := session.cache.get(digest, what))}
    usable = [each for each in batch if not each.error and not each.picture.broken]
    new = {each.picture.hash: each for each in usable if each.picture.hash not in found}
    whole = [each if each.faces is not None else _look(session, set(), each.picture) for each in new.values()]
    made = _embedded(session, [each for each in whole if not each.error])
    session.cache.put(what, made, found)
    known |= made.keys()
    errors = {each.picture.hash: each.error for each in whole if each.error}
    values = {digest: (value, False) for digest, value in made.items()}
    values |= {digest: (value, not own) for digest, (value, own) in found.items()}
    looks: list[tuple[int, str | None, bool]] = []
    rows: list[FaceRow] = []
    for each in batch:
        value, reused = (b"[]", False) if each.error else values.get(each.picture.hash, (b"[]", False))
        looks.append((each.picture.no, each.error or errors.get(each.picture.hash), reused))
        rows += [_row(each.picture.no, face) for face in json.loads(value)]
    session.work.add_looks(looks, rows)


def _look(session: Session, known: set[bytes], picture: Picture) -> Looked:
    """Find and cut out the faces of one picture, unless its content is known."""
    if picture.broken or picture.hash in known:
        return Looked(picture)
    try:
        content = session.source.read(session.names[picture.no])
        if hashlib.sha256(content).digest() != picture.hash:
            return Looked(picture, "changed while the session ran")
        side = session.config.detection_side
        whole, _ = decode(content, most_pixels=session.most_pixels, side=side)
    except UnreadableError as error:
        return Looked(picture, str(error))
    image = scaled_to(whole, side)
    faces: list[Found] = []
    for box in session.detector.find(image):
        face = cut_out(image, box)
        place = (box.left / image.width, box.top / image.height, box.width / image.width, box.height / image.height)
        faces.append(Found(place, box.score, session.embedder.prepare(face), thumbnail(face, FACE_THUMB_SIDE)))
    return Looked(picture, None, faces)


def _embedded(session: Session, looked: Sequence[Looked]) -> dict[bytes, bytes]:
    """The faces of each picture as the cache keeps them; all crops of a batch of pictures go through at once."""
    crops = [face.prepared for each in looked for face in each.faces or ()]
    vectors = iter(session.embedder.embed(np.stack(crops)) if crops else ())
    made: dict[bytes, bytes] = {}
    for each in looked:
        kept = [_kept(face, next(vectors)) for face in each.faces or ()]
        made[each.picture.hash] = json.dumps(kept).encode()
    return made


def _kept(face: Found, vector: Floats) -> Kept:
    return Kept(
        box=face.box,
        score=face.score,
        vector=base64.b64encode(vector.tobytes()).decode(),
        thumb=base64.b64encode(face.thumb).decode(),
    )


def _row(picture: int, face: Kept) -> FaceRow:
    return FaceRow(
        picture,
        json.dumps([round(share, 5) for share in face["box"]]),
        face["score"],
        base64.b64decode(face["vector"]),
        base64.b64decode(face["thumb"]),
    )
