"""Turns checked requests into rows: ids, outputs with ids of their own, inputs resolved, dependencies, first state.

Shared by `submit_job`, `submit_study` and `retry_job`. Everything is checked before anything is written, and all
problems are reported together.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from sqlalchemy import Connection, text

from headway.domain.states import JobState
from headway.errors import FieldProblem, InvalidInputError
from headway.jobs.kind import Kind, KindConfig
from headway.services.progress_json import planned_progress
from headway.storage import artifacts as artifact_store
from headway.storage import jobs as job_store
from headway.storage.ids import new_id

# held until commit, so that a need that completes meanwhile sees the job that waits for it
_LOCK_NEEDS = text("SELECT id, state FROM jobs WHERE id = ANY(:ids) ORDER BY id FOR SHARE")


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """A job to be stored. `where` is the path its problems are reported under (`""` or `jobs.2`)."""

    kind: Kind
    config: KindConfig
    where: str = ""
    key: str | None = None
    name: str | None = None
    tags: Sequence[str] = ()
    notes: str = ""
    depends_on: Sequence[str] = ()
    priority: int = 0
    time_limit_seconds: float | None = None
    owner: str = ""
    retry_of: str | None = None
    idempotency_key: str | None = None
    id: str = field(default_factory=new_id)

    def at(self, *path: str) -> str:
        """The dotted path of one of its fields."""
        return ".".join(filter(None, (self.where, *path)))


@dataclass(slots=True)
class _Placing:
    """What is known while a set of drafts is being placed."""

    problems: list[FieldProblem] = field(default_factory=list[FieldProblem])
    needs: dict[str, dict[str, str]] = field(default_factory=dict[str, dict[str, str]])
    inputs: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])
    configs: dict[str, dict[str, Any]] = field(default_factory=dict[str, dict[str, Any]])


def place_jobs(connection: Connection, drafts: Sequence[Draft], *, study_id: str | None = None) -> list[str]:
    """Store the drafts and answer their ids. Raises InvalidInputError that names every wrong field."""
    outputs = [_output_row(draft, output.name, output.type) for draft in drafts for output in draft.kind.outputs]
    placing = _Placing()
    _resolve_inputs(connection, drafts, outputs, placing)
    _resolve_depends_on(drafts, placing)
    states = _states_of_needs(connection, drafts, placing)
    _refuse_cycles(drafts, placing)
    if placing.problems:
        raise InvalidInputError(*placing.problems)
    now = time.time()
    rows = [_job_row(draft, number, study_id, placing, states, now) for number, draft in enumerate(drafts)]
    job_store.insert_jobs(connection, rows)
    artifact_store.insert_artifacts(connection, outputs)
    artifact_store.insert_inputs(connection, placing.inputs)
    job_store.insert_dependencies(
        connection, ((draft.id, need) for draft in drafts for need in placing.needs.get(draft.id, ()))
    )
    return [draft.id for draft in drafts]


def _output_row(draft: Draft, output: str, artifact_type: str) -> dict[str, Any]:
    name = draft.name or draft.key or draft.kind.name
    return {"id": new_id(), "type": artifact_type, "name": name, "job_id": draft.id, "output": output}


def _resolve_inputs(
    connection: Connection, drafts: Sequence[Draft], outputs: Sequence[Mapping[str, Any]], placing: _Placing
) -> None:
    ids = {draft.key: draft.id for draft in drafts if draft.key}
    references = {
        (draft.id, spec.name): _split(str(value), ids)
        for draft in drafts
        for spec in draft.kind.inputs
        if (value := getattr(draft.config, spec.name)) is not None
    }
    by_id: dict[str, Mapping[str, Any]] = dict(
        artifact_store.get_artifacts(connection, [name for _, (how, name) in references.items() if how == "artifact"])
    )
    outside = [name.partition("/")[0] for _, (how, name) in references.items() if how == "job"]
    made = [*outputs, *artifact_store.artifacts_of_jobs(connection, outside)]
    by_output = {f"{row['job_id']}/{row['output']}": row for row in made}
    for draft in drafts:
        config = draft.config.model_dump(mode="json")
        for spec in draft.kind.inputs:
            reference = references.get((draft.id, spec.name))
            if reference is None:
                continue
            artifact = (by_id if reference[0] == "artifact" else by_output).get(reference[1])
            problem = _input_problem(artifact, spec.type, str(getattr(draft.config, spec.name)))
            if problem or artifact is None:
                placing.problems.append(FieldProblem(draft.at("config", spec.name), problem or ""))
                continue
            config[spec.name] = f"artifact:{artifact['id']}"
            placing.inputs.append({"job_id": draft.id, "field": spec.name, "artifact_id": artifact["id"]})
            if artifact.get("state", "pending") == "pending" and artifact["job_id"]:
                placing.needs.setdefault(draft.id, {})[artifact["job_id"]] = draft.at("config", spec.name)
        placing.configs[draft.id] = config


def _split(reference: str, ids: Mapping[str, str]) -> tuple[str, str]:
    """`artifact:<id>` -> (artifact, id); `job:<id or key>/<output>` -> (job, id/output)."""
    how, _, rest = reference.partition(":")
    if how == "artifact":
        return "artifact", rest
    job, _, output = rest.partition("/")
    return "job", f"{ids.get(job, job)}/{output}"


def _input_problem(artifact: Mapping[str, Any] | None, wanted_type: str, reference: str) -> str | None:
    if artifact is None:
        return f"there is no {reference}: name an artifact that exists, or a job that makes one"
    if artifact["type"] != wanted_type:
        return f"{reference} is of type {artifact['type']}; this field takes type {wanted_type}"
    if artifact.get("state") == "pending" and artifact["job_id"] is None:
        return f"{reference} is still being uploaded: finish that first"
    if artifact.get("state") == "failed":
        return f"{reference} was never made: its job {artifact['job_id']} did not complete; retry that first"
    return None


def _resolve_depends_on(drafts: Sequence[Draft], placing: _Placing) -> None:
    ids = {draft.key: draft.id for draft in drafts if draft.key}
    for draft in drafts:
        for number, need in enumerate(draft.depends_on):
            where = draft.at("depends_on", str(number))
            placing.needs.setdefault(draft.id, {}).setdefault(ids.get(need, need), where)


def _states_of_needs(connection: Connection, drafts: Sequence[Draft], placing: _Placing) -> dict[str, str]:
    new = {draft.id for draft in drafts}
    outside = sorted({need for needs in placing.needs.values() for need in needs} - new)
    states = {row.id: row.state for row in connection.execute(_LOCK_NEEDS, {"ids": outside})} if outside else {}
    for needs in placing.needs.values():
        for need, where in needs.items():
            state = states.get(need)
            if need not in new and state is None:
                placing.problems.append(FieldProblem(where, f"there is no job {need}"))
            if state in (JobState.FAILED, JobState.CANCELLED):
                placing.problems.append(FieldProblem(where, f"job {need} is {state}: retry it first"))
    return states


def _refuse_cycles(drafts: Sequence[Draft], placing: _Placing) -> None:
    open_ids = {draft.id for draft in drafts}
    while open_ids:
        free = {job for job in open_ids if not open_ids & placing.needs.get(job, {}).keys()}
        if not free:
            names = ", ".join(draft.key or draft.id for draft in drafts if draft.id in open_ids)
            placing.problems.append(FieldProblem("jobs", f"these wait for one another in a circle: {names}"))
            return
        open_ids -= free


def _job_row(
    draft: Draft, number: int, study_id: str | None, placing: _Placing, states: Mapping[str, str], now: float
) -> dict[str, Any]:
    waits = any(states.get(need) != JobState.COMPLETED for need in placing.needs.get(draft.id, ()))
    return {
        "id": draft.id,
        "kind": draft.kind.name,
        "name": draft.name or draft.key or draft.kind.title,
        "tags": list(draft.tags),
        "notes": draft.notes,
        "owner": draft.owner,
        "state": JobState.WAITING if waits else JobState.QUEUED,
        "queue": draft.kind.queue,
        "priority": draft.priority,
        "config": placing.configs[draft.id],
        "resources": asdict(draft.kind.resources),
        "study_id": study_id,
        "study_key": draft.key,
        "study_position": number if study_id else None,
        "retry_of": draft.retry_of,
        "idempotency_key": draft.idempotency_key,
        "time_limit_seconds": draft.time_limit_seconds,
        "progress": planned_progress(draft.kind.phases, now),
    }
