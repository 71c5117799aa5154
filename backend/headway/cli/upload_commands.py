"""`headway upload`, and files named in a config as `field=@path`."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer

#: Stands for the artifact that a file becomes.
_TO_COME = f"artifact:{'x' * 12}"


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(upload)


def upload(
    paths: Annotated[list[Path], typer.Argument(metavar="PATH...", help="Files, or a folder with all below it.")],
    artifact_type: Annotated[str, typer.Option("--type", help="What it becomes: dataset, model.")] = "dataset",
    name: Annotated[str | None, typer.Option(help="What you call it.")] = None,
    resume: Annotated[str | None, typer.Option(metavar="ID", help="Go on with an upload that broke off.")] = None,
) -> None:
    """Send files; answers the artifact that jobs take."""
    from headway.cli.client import connected
    from headway.cli.sending import go_on, pack
    from headway.errors import FieldProblem, InvalidInputError

    with connected() as client:
        accepted = _patterns(client.get("/kinds")["items"])
        if artifact_type not in accepted:
            raise InvalidInputError(FieldProblem("--type", f"can be uploaded: {', '.join(sorted(accepted))}"))
        parcel, left_out = pack(paths, artifact_type, sorted(accepted[artifact_type]), "PATH")
        _say_left_out(left_out)
        if resume:
            with _bar(parcel.bytes) as tell:
                artifact = go_on(client, resume, parcel.files, tell)
        else:
            artifact = _send(client, parcel, name)
        typer.echo(f"artifact:{artifact['id']}")


def bring_files(client: Any, kind: str, config: dict[str, Any]) -> None:
    """Upload what the config names as `@path` where an input takes uploads, and name the artifact instead.

    Raises InvalidInputError for a path that is not there, a field that takes no file, and, before anything is sent, for
    whatever else is wrong in the config.
    """
    from headway.cli.sending import pack
    from headway.errors import FieldProblem, InvalidInputError

    named = {field: str(value)[1:] for field, value in config.items() if str(value).startswith("@")}
    if not named:
        return
    _refuse_wrong(client, kind, config | dict.fromkeys(named, _TO_COME))
    kinds = {item["name"]: item for item in client.get("/kinds")["items"]}
    inputs = {each["name"]: each for each in kinds.get(kind, {"inputs": []})["inputs"]}
    for field, path in ((field, path) for field, path in named.items() if field in inputs):
        if not inputs[field]["upload"]:
            raise InvalidInputError(FieldProblem(f"config.{field}", "takes an artifact that a job made, not a file"))
        accepted = inputs[field]["upload"]["patterns"]
        parcel, left_out = pack([Path(path).expanduser()], inputs[field]["type"], accepted, f"config.{field}")
        _say_left_out(left_out)
        config[field] = f"artifact:{_send(client, parcel, None)['id']}"


def _refuse_wrong(client: Any, kind: str, config: dict[str, Any]) -> None:
    from headway.errors import FieldProblem, InvalidInputError

    problems = client.post(f"/kinds/{kind}/forecast", {"config": config})["problems"]
    if problems:
        raise InvalidInputError(*(FieldProblem(each["field"], each["message"]) for each in problems))


def _send(client: Any, parcel: Any, name: str | None) -> Any:
    from headway.cli.sending import send

    def begun(upload_id: str) -> None:
        typer.echo(f"Upload {upload_id}; if it breaks off: headway upload ... --resume {upload_id}", err=True)

    with _bar(parcel.bytes) as tell:
        return send(client, parcel, name, tell, begun)


def _patterns(kinds: list[Any]) -> dict[str, set[str]]:
    """Which files make an artifact, by its type."""
    found: dict[str, set[str]] = {}
    for each in (each for kind in kinds for each in kind["inputs"] if each["upload"]):
        found.setdefault(each["type"], set()).update(each["upload"]["patterns"])
    return found


def _say_left_out(paths: list[str]) -> None:
    if paths:
        more = f" and {len(paths) - 5} more" if len(paths) > 5 else ""
        typer.echo(f"Left out: {', '.join(paths[:5])}{more}", err=True)


@contextmanager
def _bar(size: int) -> Generator[Any]:
    """A bar of bytes on the terminal; nothing where nobody looks."""
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TimeRemainingColumn, TransferSpeedColumn

    console = Console(stderr=True)
    columns = (BarColumn(), DownloadColumn(), TransferSpeedColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, disable=not console.is_terminal, transient=True) as progress:
        task = progress.add_task("", total=size)
        yield lambda arrived, total: progress.update(task, completed=arrived, total=total)
