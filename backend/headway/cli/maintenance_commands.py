"""Commands that look after what is stored: `headway metrics stats | archive | restore`, `headway clean-up`."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from sqlalchemy import Engine

metrics = typer.Typer(no_args_is_help=True, help="Metrics by age: statistics, the archive, and the way back.")
Day = Annotated[datetime | None, typer.Option(formats=["%Y-%m-%d"], help="A day, as 2026-08-31.")]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.add_typer(metrics, name="metrics")
    app.command()(clean_up)


@metrics.command()
def stats() -> None:
    """Show what is stored of how old metrics, and what the periodic tasks did."""
    from rich.table import Table

    from headway.cli.client import connected
    from headway.cli.show import terminal

    with connected() as client:
        found = client.get("/system/retention")
    console = terminal()
    for title, columns, rows in (
        ("by age", ("ended at most", "live rows", "archived rows", "MB"), map(_age, found["ages"])),
        ("by week", ("week of", "where", "rows", "MB", "held until"), map(_week, found["weeks"])),
        ("tasks", ("task", "runs", "failed", "last", "last took", "did"), map(_task, found["tasks"])),
    ):
        table = Table(*columns, title=title, title_justify="left", box=None, pad_edge=False)
        for row in rows:
            table.add_row(*row)
        console.print(table)


@metrics.command()
def archive() -> None:
    """Archive now what Beat would archive at 02:00 UTC."""
    from headway.services.archive_metrics import archive_metrics
    from headway.settings import get_settings

    settings = get_settings()
    with _database() as engine:
        done = archive_metrics(engine, settings.training_metric_archive_days, settings.training_metric_keep_days)
    typer.echo(f"{len(done.archived)} weeks archived, {len(done.dropped)} dropped.")
    if done.put_off:
        typer.echo("Others are in use by a long transaction: try again later.", err=True)
        raise typer.Exit(1)


@metrics.command()
def restore(
    until: Annotated[datetime, typer.Option(formats=["%Y-%m-%d"], help="Not archived again before this day.")],
    first: Day = None,
    last: Day = None,
    job: Annotated[str | None, typer.Option(help="The weeks in which this job's metrics came in.")] = None,
) -> None:
    """Bring archived weeks back, by days or by job, and hold them until a day."""
    from headway.errors import FieldProblem, InvalidInputError
    from headway.services.archive_metrics import days_of_job, restore_metrics

    with _database() as engine:
        if job and not (first or last):
            days = days_of_job(engine, job)
        elif first and last and not job:
            days = (first.date(), last.date())
        else:
            raise InvalidInputError(FieldProblem("--job", "name a job, or both --first and --last"))
        weeks = restore_metrics(engine, *days, until.date())
    typer.echo(f"{len(weeks)} weeks are held until {until:%Y-%m-%d}: {', '.join(map(str, weeks))}")


def clean_up() -> None:
    """Delete now what is past its retention, as Beat does on the first of each month."""
    from headway.services import clean_up as service
    from headway.settings import get_settings

    settings = get_settings()
    with _database() as engine:
        counts = service.clean_up(engine, settings.headway_data_dir, service.retention_of(settings))
    typer.echo(", ".join(f"{count} {name.replace('_', ' ')}" for name, count in counts.items()) + " deleted.")


@contextmanager
def _database() -> Iterator[Engine]:
    from headway.cli.client import database_url
    from headway.settings import get_settings
    from headway.storage.engine import make_engine

    engine = make_engine(database_url(get_settings()), pool_size=1)
    try:
        yield engine
    finally:
        engine.dispose()


def _age(row: dict[str, Any]) -> tuple[str, ...]:
    age = "longer ago" if row["days"] is None else f"{row['days']} days ago"
    return age, f"{row['live_rows']:,}", f"{row['archived_rows']:,}", _mb(row["bytes"])


def _week(row: dict[str, Any]) -> tuple[str, ...]:
    where = "archive" if row["archived"] else "live"
    return row["week"], where, f"{row['rows']:,}", _mb(row["bytes"]), (row["held_until"] or "")[:10]


def _task(row: dict[str, Any]) -> tuple[str, ...]:
    did = ", ".join(f"{name} {count:,}" for name, count in row["counts"].items())
    took = "" if row["last_seconds"] is None else f"{row['last_seconds']:.2f} s"
    return row["task"], str(row["runs"]), str(row["failures"]), row["last_run_at"] or "", took, did


def _mb(size: int) -> str:
    return f"{size / 1e6:,.1f}"
