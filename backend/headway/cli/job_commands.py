"""Commands on jobs: run, study, ls, watch, logs, cancel, pause, resume, retry."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

JobId = Annotated[str, typer.Argument(metavar="ID", help="The job's id.")]
Watch = Annotated[bool, typer.Option("--watch", "-w", help="Follow the job to its end.")]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    for command in (run, study, ls, watch, logs, cancel, pause, resume, retry):
        app.command()(command)


def run(
    kind: Annotated[str, typer.Argument(metavar="KIND", help="What to run, such as probe.work.")],
    config: Annotated[list[str] | None, typer.Argument(metavar="KEY=VALUE...", help="JSON or text; dots nest.")] = None,
    watch: Watch = False,
    name: Annotated[str | None, typer.Option(help="What you call it.")] = None,
    tag: Annotated[list[str] | None, typer.Option(help="A tag; may be given again.")] = None,
    after: Annotated[list[str] | None, typer.Option(help="Id of a job it waits for; may be given again.")] = None,
    priority: Annotated[int | None, typer.Option(help="Larger goes first.")] = None,
) -> None:
    """Submit a job. An input that takes uploads may be a file or folder here: dataset=@prices.csv"""
    from headway.cli.client import connected
    from headway.cli.upload_commands import bring_files
    from headway.cli.values import parse_config

    optional = {"name": name, "tags": tag, "depends_on": after, "priority": priority}
    given = {key: value for key, value in optional.items() if value is not None}
    parsed = parse_config(config or [])
    with connected() as client:
        bring_files(client, kind, parsed)
        job = client.post("/jobs", {"kind": kind, "config": parsed, **given})
        typer.echo(job["id"])
        if watch:
            _watch(client, [job["id"]])


def study(
    file: Annotated[Path, typer.Argument(metavar="FILE.json", help="`{name, jobs: [{key, kind, config, ...}]}`.")],
    watch: Watch = False,
) -> None:
    """Submit a study: jobs tied by dependencies."""
    import json

    from headway.cli.client import connected
    from headway.errors import FieldProblem, InvalidInputError

    try:
        body = json.loads(file.read_text())
    except (OSError, ValueError) as error:
        raise InvalidInputError(FieldProblem(str(file), f"cannot be read as JSON: {error}")) from None
    with connected() as client:
        made = client.post("/studies", body)
        typer.echo(made["id"])
        if watch:
            _watch(client, [job["id"] for job in made["jobs"]])


def ls(
    state: Annotated[str | None, typer.Option(help="Only jobs in this state.")] = None,
    kind: Annotated[str | None, typer.Option(help="Only jobs of this kind.")] = None,
    tag: Annotated[str | None, typer.Option(help="Only jobs with this tag.")] = None,
    q: Annotated[str | None, typer.Option(help="Only jobs whose name holds this.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=500, help="How many, newest first.")] = 30,
    as_json: Annotated[bool, typer.Option("--json", help="The API's answer, for programs.")] = False,
) -> None:
    """List jobs."""
    import json

    from headway.cli.client import connected
    from headway.cli.show import job_table, terminal

    with connected() as client:
        page = client.get("/jobs", state=state, kind=kind, tag=tag, q=q, limit=limit)
    if as_json:
        typer.echo(json.dumps(page, indent=2))
    elif page["items"]:
        terminal().print(job_table(page["items"]))
    else:
        typer.echo("No jobs.")


def watch(job_ids: Annotated[list[str], typer.Argument(metavar="ID...", help="The jobs' ids.")]) -> None:
    """Follow jobs live to their end; the exit code is 0 completed, 1 failed, 3 cancelled."""
    from headway.cli.client import connected

    with connected() as client:
        _watch(client, job_ids)


def logs(
    job_id: JobId,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on until the job ends.")] = False,
) -> None:
    """Print what a job logged."""
    from headway.cli.client import connected
    from headway.cli.following import follow_log

    def tell(line: dict[str, Any]) -> None:
        typer.echo(f"{line['at'].replace('T', ' ')[:19]}  {line['level']:<7}  {line['text']}")

    with connected() as client:
        if follow:
            follow_log(client, job_id, tell)
        else:
            for line in client.log_lines(job_id):
                tell(line)


def cancel(job_id: JobId) -> None:
    """Stop a job; what it has done stays readable."""
    _act(job_id, "cancel")


def pause(job_id: JobId) -> None:
    """Let a job leave a checkpoint and free what it uses."""
    _act(job_id, "pause")


def resume(job_id: JobId) -> None:
    """Go on with a paused job."""
    _act(job_id, "resume")


def retry(
    job_id: JobId,
    config: Annotated[list[str] | None, typer.Argument(metavar="KEY=VALUE...", help="What to change.")] = None,
    advised: Annotated[bool, typer.Option("--advised", help="Take the change that the failure advises.")] = False,
    watch: Watch = False,
) -> None:
    """Run a job again as a new one, with changes if you like; what waited for the old one waits for it."""
    from headway.cli.client import connected
    from headway.cli.values import parse_config

    body: dict[str, Any] = {"advised": True} if advised else {}
    if config:
        body["config"] = parse_config(config)
    with connected() as client:
        job = client.act(job_id, "retry", body)
        typer.echo(job["id"])
        if watch:
            _watch(client, [job["id"]])


def _act(job_id: str, action: str) -> None:
    from headway.cli.client import connected

    with connected() as client:
        typer.echo(client.act(job_id, action)["state"])


def _watch(client: Any, job_ids: list[str]) -> None:
    from headway.cli.following import exit_code, follow
    from headway.cli.show import failure, terminal

    jobs = follow(client, job_ids, terminal())
    for text in filter(None, map(failure, jobs)):
        typer.echo(text, err=True)
    raise typer.Exit(exit_code(jobs))
