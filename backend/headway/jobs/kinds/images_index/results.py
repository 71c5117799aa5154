"""What a session leaves: JSON in pieces that a page reads one at a time, thumbnails, contact sheets and the vectors."""

from __future__ import annotations

import io
import json
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from headway.jobs.kinds.images_index.embedders import Floats
from headway.jobs.kinds.images_index.grouping import Groups
from headway.jobs.kinds.images_index.session import Session

A_PIECE = 200
A_FOLDER = 1000
SHEET_COLUMNS, SHEET_ROWS, SHEET_CELL = 6, 4, 128
MOST_SHEETS = 500
MOST_NAMED = 1000
GROUND = (238, 238, 238)


@dataclass(frozen=True, slots=True)
class Results:
    """Groups of pictures and faces, each picture's nearest, and pictures by text, with cosines."""

    groups: Groups
    faces: Groups
    neighbours: dict[int, list[tuple[int, float]]]
    found: dict[str, list[tuple[int, float]]]


def thumb_path(kind: str, no: int) -> str:
    """Where the thumbnail of a picture (`thumbs`) or face (`face_thumbs`) lies in the output."""
    return f"{kind}/{no // A_FOLDER:03d}/{no:06d}.jpg"


def write_results(session: Session, results: Results, vectors: Floats, face_vectors: Floats) -> None:
    """Write the whole output anew; the work file stays until it is declared."""
    folder = session.job.output("index")
    for old in folder.iterdir():
        if old.is_dir():
            shutil.rmtree(old)
    pictures, faces = _pictures(session, results), _faces(session, results)
    _write_pieces(folder / "pictures", pictures)
    _write_pieces(folder / "faces", faces)
    np.save(folder / "vectors.npy", vectors)
    np.save(folder / "face_vectors.npy", face_vectors)
    _write_thumbs(session, folder)
    clusters = {
        "pictures": _write_sheets(session, folder, "pictures", results.groups),
        "faces": _write_sheets(session, folder, "faces", results.faces),
    }
    _write(folder / "clusters.json", clusters)
    _write(folder / "session.json", told(session, results) | {"broken": _broken(session, pictures)})


def told(session: Session, results: Results) -> dict[str, Any]:
    """The session in short: what it is of, what looked at it, and the counts of each phase."""
    counts, names = session.work.counts, len(session.names)
    refused = len(session.source.listing.refused)
    usable = counts.embedded - counts.broken
    return {
        "format": 1,
        "name": session.source.name,
        "embedder": session.embedder.key,
        "detector": session.detector.key,
        "face_embedder": session.embedder.key,
        "other_files": session.source.listing.others,
        "embedding": {
            "pictures": names + refused,
            "embedded": usable - counts.reused,
            "reused": counts.reused,
            "broken": counts.broken + refused,
        },
        "face_detection": {
            "pictures": usable,
            "looked_at": usable - counts.look_reused - counts.look_broken,
            "reused": counts.look_reused,
            "broken": counts.look_broken,
            "with_faces": counts.with_faces,
            "faces": counts.faces,
        },
        "clustering": {
            "groups": len(results.groups.members),
            "grouped": sum(map(len, results.groups.members)),
            "noise": len(results.groups.noise),
            "face_groups": len(results.faces.members),
            "grouped_faces": sum(map(len, results.faces.members)),
            "noise_faces": len(results.faces.noise),
        },
        "queries": [{"text": text, "pictures": found} for text, found in results.found.items()],
    }


def _pictures(session: Session, results: Results) -> list[dict[str, Any]]:
    labels = _labels(results.groups)
    faces: dict[int, list[int]] = {}
    for no, picture, _, _ in session.work.told_faces():
        faces.setdefault(picture, []).append(no)
    return [
        picture
        | {
            "group": labels.get(picture["no"]),
            "faces": faces.get(picture["no"], []),
            "nearest": results.neighbours.get(picture["no"], []),
        }
        for picture in session.work.told_pictures()
    ]


def _faces(session: Session, results: Results) -> list[dict[str, Any]]:
    labels = _labels(results.faces)
    return [
        {"no": no, "picture": picture, "box": json.loads(box), "score": round(score, 4), "group": labels.get(no)}
        for no, picture, box, score in session.work.told_faces()
    ]


def _labels(groups: Groups) -> dict[int, int]:
    return {no: label for label, members in enumerate(groups.members) for no in members}


def _broken(session: Session, pictures: Sequence[dict[str, Any]]) -> list[dict[str, str]]:
    """The first of what could not be used, by name, with the reason."""
    named = [{"name": name, "error": error} for name, error in session.source.listing.refused.items()]
    named += [{"name": each["name"], "error": each["error"]} for each in pictures if each["error"]]
    return named[:MOST_NAMED]


def _write_pieces(folder: Path, items: Sequence[dict[str, Any]]) -> None:
    folder.mkdir()
    for begin in range(0, len(items), A_PIECE):
        _write(folder / f"{begin // A_PIECE:04d}.json", items[begin : begin + A_PIECE])


def _write_thumbs(session: Session, folder: Path) -> None:
    counts = session.work.counts
    with session.job.count(unit="thumbnail", total=counts.embedded - counts.broken + counts.faces) as counter:
        for kind, table in (("thumbs", "pictures"), ("face_thumbs", "faces")):
            for no, thumb in session.work.thumbs(table):
                path = folder / thumb_path(kind, no)
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(thumb)
                counter.advance()


def _write_sheets(session: Session, folder: Path, table: str, groups: Groups) -> dict[str, Any]:
    """A contact sheet of each group's most typical members; the groups as the page lists them."""
    (folder / "sheets").mkdir(exist_ok=True)
    listed: list[dict[str, Any]] = []
    for label, members in enumerate(groups.members):
        sheet = f"sheets/{table}-{label:04d}.jpg" if label < MOST_SHEETS else None
        if sheet:
            shown = members[: SHEET_COLUMNS * SHEET_ROWS]
            _sheet(session.work.thumb(table, no) for no in shown).save(folder / sheet, "JPEG", quality=80)
        listed.append({"label": label, "size": len(members), "sheet": sheet, "members": members})
    return {"groups": listed, "noise": groups.noise}


def _sheet(thumbs: Iterator[bytes]) -> Image.Image:
    """Thumbnails side by side, each whole in its cell."""
    images = [Image.open(io.BytesIO(thumb)) for thumb in thumbs]
    columns = min(SHEET_COLUMNS, len(images))
    rows = -(-len(images) // columns)
    sheet = Image.new("RGB", (columns * SHEET_CELL, rows * SHEET_CELL), GROUND)
    for place, image in enumerate(images):
        image.thumbnail((SHEET_CELL - 4, SHEET_CELL - 4))
        left, top = place % columns * SHEET_CELL, place // columns * SHEET_CELL
        sheet.paste(image, (left + (SHEET_CELL - image.width) // 2, top + (SHEET_CELL - image.height) // 2))
    return sheet


def _write(path: Path, content: Any) -> None:
    path.write_text(json.dumps(content, separators=(",", ":"), allow_nan=False))
