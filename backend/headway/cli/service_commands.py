"""Commands that run Headway itself: up, cluster, api, worker, beat, migrate, open, doctor, demo."""

from __future__ import annotations

import gc
from typing import Annotated

import typer


def register(app: typer.Typer) -> None:
    """Add the commands."""
    for command in (up, cluster, api, worker, beat, migrate, open_dashboard, doctor, demo):
        app.command(name=_NAMES.get(command.__name__))(command)


_NAMES = {"open_dashboard": "open"}


def up() -> None:
    """Start everything here: Postgres and Redis (unless set), the API and the workers, until Ctrl-C."""
    from headway.local.up import started
    from headway.settings import get_settings

    try:
        with started(get_settings(), _say) as installation:
            installation.watch()
    except KeyboardInterrupt:
        _say("Stopped.")


def cluster(
    instances: Annotated[int, typer.Option(min=1, max=16, help="API instances behind nginx.")] = 3,
) -> None:
    """Start everything as `up` does, but with nginx before several API instances, until Ctrl-C."""
    from headway.local.cluster import cluster_started
    from headway.settings import get_settings

    try:
        with cluster_started(get_settings(), instances, _say) as installation:
            installation.watch()
    except KeyboardInterrupt:
        _say("Stopped.")


def api() -> None:
    """Run one API instance (`up` does it for you)."""
    from headway.parent_death import end_with_parent

    end_with_parent()
    # nothing of what is imported is garbage: the server turns the collector on again once it stands
    gc.disable()
    from headway.api.app import serve
    from headway.leaving import leave
    from headway.settings import get_settings

    serve(get_settings())
    leave()


def worker(
    queues: Annotated[str, typer.Option(help="Queues to take jobs from, comma separated.")] = "gpu,cpu,io",
    with_beat: Annotated[
        bool, typer.Option("--beat", help="Run the periodic tasks' clock too: once an installation.")
    ] = False,
) -> None:
    """Run one worker; on another machine, set HEADWAY_DATABASE_URL and HEADWAY_REDIS_URL."""
    from headway.parent_death import end_with_parent

    end_with_parent()
    # nothing of what is imported is garbage: a worker turns the collector on again once it is ready
    gc.disable()
    from headway.errors import FieldProblem, InvalidInputError
    from headway.settings import QUEUES, get_settings

    names = [name.strip() for name in queues.split(",") if name.strip()]
    if unknown := [name for name in names if name not in QUEUES] or not names:
        raise InvalidInputError(FieldProblem("--queues", f"{unknown or queues!r}: choose from {', '.join(QUEUES)}"))
    from headway.leaving import leave
    from headway.workers.app import serve

    serve(get_settings(), names, with_beat)
    leave()


def beat() -> None:
    """Run the periodic tasks' clock alone, for workers without --beat: once an installation (twice does no harm)."""
    from headway.parent_death import end_with_parent

    end_with_parent()
    from headway.settings import get_settings
    from headway.workers.beat import serve

    serve(get_settings())


def migrate() -> None:
    """Bring the database to this version's tables."""
    from headway.cli.client import database_url
    from headway.settings import get_settings
    from headway.storage.migrate import upgrade

    typer.echo("Migrated." if upgrade(database_url(get_settings())) else "Nothing to do.")


def open_dashboard() -> None:
    """Print the dashboard's address, and open it where there is a screen."""
    import os
    import webbrowser

    from headway.cli.client import connected

    with connected() as client:
        client.ready()
        typer.echo(client.dashboard)
        if os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"):
            webbrowser.open(client.dashboard)


def doctor(
    run: Annotated[bool, typer.Option("--run", help="Submit a short probe job and wait for it.")] = False,
) -> None:
    """Look at everything Headway needs here, and say how to mend what is missing."""
    from headway.cli.doctor import examine

    raise typer.Exit(examine(run_probe=run))


def demo() -> None:
    """Run a real study from model and text to a trained sparse autoencoder, on what runs here or on a fresh `up`."""
    from headway.cli.demo import run_demo

    raise typer.Exit(run_demo())


def _say(line: str) -> None:
    typer.echo(line)
