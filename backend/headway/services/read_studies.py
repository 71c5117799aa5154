"""Read studies."""

from __future__ import annotations

from collections import defaultdict

from sqlalchemy import Engine

from headway.errors import NotFoundError
from headway.services.paging import next_cursor, read_cursor
from headway.services.views import StudyView, View, study_view
from headway.storage import jobs as job_store
from headway.storage import studies as study_store
from headway.storage.engine import transaction
from headway.storage.rows import Row


class StudyPage(View):
    """A page of studies, newest first."""

    items: list[StudyView]
    next_cursor: str | None


def get_study(engine: Engine, study_id: str) -> StudyView:
    """One study with its jobs. Raises NotFoundError."""
    with transaction(engine) as connection:
        study = study_store.get_study(connection, study_id)
        rows = job_store.jobs_of_studies(connection, [study_id])
    if study is None:
        raise NotFoundError(f"there is no study {study_id}")
    return study_view(study, rows)


def list_studies(engine: Engine, cursor: str | None = None, limit: int = 50) -> StudyPage:
    """Studies, newest first, with their jobs, in two queries."""
    with transaction(engine) as connection:
        studies = study_store.list_studies(connection, read_cursor(cursor), limit)
        rows = job_store.jobs_of_studies(connection, [study["id"] for study in studies])
    jobs: dict[str, list[Row]] = defaultdict(list)
    for row in rows:
        jobs[row["study_id"]].append(row)
    items = [study_view(study, jobs[study["id"]]) for study in studies]
    return StudyPage(items=items, next_cursor=next_cursor(studies, limit))
