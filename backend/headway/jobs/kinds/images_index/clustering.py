"""Phase 3: groups of pictures and of faces, nearest pictures, text searches, and all of it written for people."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TypeVar

import numpy as np

from headway.jobs.kinds.images_index.grouping import Floats, Groups, group, nearest
from headway.jobs.kinds.images_index.results import Results, write_results
from headway.jobs.kinds.images_index.session import Session

STEPS = 5
STOP_SECONDS = 0.1
MOST_FOUND = 48
T = TypeVar("T")


def cluster(session: Session) -> Results:
    """Group, search and write; each a step of the phase, and a paused one begins again."""
    config, work = session.config, session.work
    base = 2 * len(session.names)
    picture_nos, vectors = _matrix(*work.vectors("pictures"))
    face_nos, face_vectors = _matrix(*work.vectors("faces"))
    with session.job.count(unit="step", total=STEPS) as step:

        def done() -> None:
            step.advance()
            session.heed(base + int(step.current))

        session.job.say("Grouping pictures")
        groups = _numbered(_heeding(session, lambda: group(vectors, config.least_cluster)), picture_nos)
        done()
        session.job.say("Grouping faces")
        face_groups = _numbered(_heeding(session, lambda: group(face_vectors, config.least_face_cluster)), face_nos)
        done()
        neighbours = _neighbours(session, picture_nos, vectors)
        done()
        found = _search(session, picture_nos, vectors)
        done()
        results = Results(groups, face_groups, neighbours, found)
        write_results(session, results, vectors, face_vectors)
        done()
    _log(session, results, base + STEPS)
    return results


def _matrix(numbers: list[int], vectors: list[bytes]) -> tuple[list[int], Floats]:
    width = len(vectors[0]) // 4 if vectors else 0
    return numbers, np.frombuffer(b"".join(vectors), dtype=np.float32).reshape(len(vectors), width)


def _numbered(groups: Groups, numbers: list[int]) -> Groups:
    """Numbers of pictures or faces instead of rows."""
    members = [[numbers[row] for row in rows] for rows in groups.members]
    return Groups(members, [numbers[row] for row in groups.noise])


def _neighbours(session: Session, numbers: list[int], vectors: Floats) -> dict[int, list[tuple[int, float]]]:
    told: dict[int, list[tuple[int, float]]] = {}
    with session.job.count(unit="picture", total=len(numbers)) as counter:
        for rows, cosines in nearest(vectors, session.config.nearest):
            for others, values in zip(rows, cosines, strict=True):
                pairs = zip(others, values, strict=True)
                told[numbers[len(told)]] = [(numbers[other], round(float(value), 4)) for other, value in pairs]
            counter.current = len(told)
            _heed(session)
    return told


def _search(session: Session, numbers: list[int], vectors: Floats) -> dict[str, list[tuple[int, float]]]:
    """The best pictures for each sentence."""
    queries = session.config.queries
    if not queries:
        return {}
    cosines = session.embedder.embed_texts(queries) @ vectors.T
    best = np.argsort(-cosines, axis=1, kind="stable")[:, :MOST_FOUND]
    return {
        query: [(numbers[row], round(float(cosines[place, row]), 4)) for row in best[place]]
        for place, query in enumerate(queries)
    }


def _heeding(session: Session, work: Callable[[], T]) -> T:
    """Do what cannot be interrupted beside, and end when asked to without waiting for it."""
    ended: list[T] = []
    failed: list[Exception] = []

    def do() -> None:
        try:
            ended.append(work())
        except Exception as error:
            failed.append(error)

    thread = threading.Thread(target=do, name="headway-grouping", daemon=True)
    thread.start()
    while thread.is_alive():
        thread.join(STOP_SECONDS)
        _heed(session)
    if failed:
        raise failed[0]
    return ended[0]


def _heed(session: Session) -> None:
    """Only requests: nothing in this phase is worth a checkpoint of its own."""
    if session.job.should_stop():
        session.heed(2 * len(session.names))


def _log(session: Session, results: Results, step: int) -> None:
    session.job.log(
        step,
        **{"clustering/groups": len(results.groups.members), "clustering/noise": len(results.groups.noise)},
        **{"clustering/face_groups": len(results.faces.members), "clustering/face_noise": len(results.faces.noise)},
    )
