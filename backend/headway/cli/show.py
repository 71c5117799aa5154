"""Jobs as lines and tables of a terminal: pure functions from the API's JSON to text."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from rich.console import Console
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from headway.domain.liveness import LEAST_SLOW_SECONDS

Json = dict[str, Any]

STATE_STYLES = {
    "running": "cyan",
    "completed": "green",
    "failed": "red",
    "cancelled": "yellow",
    "cancelling": "yellow",
    "pausing": "yellow",
    "paused": "yellow",
}
_BAR_CELLS = 24
_PIPE_CELLS = 200


def terminal() -> Console:
    """Where commands print; wide where nobody looks, so that a pipe or a file gets whole lines."""
    console = Console(highlight=False)
    return console if console.is_terminal else Console(highlight=False, width=_PIPE_CELLS)


def duration(seconds: float | None) -> str:
    """`7 s`, `3:05`, `1:02:03`, `2 d 03:00`; a dash when unknown."""
    if seconds is None:
        return "–"
    whole = round(seconds)
    minutes, hours, days = whole // 60, whole // 3600, whole // 86400
    if whole < 60:
        return f"{whole} s"
    if hours < 1:
        return f"{minutes}:{whole % 60:02}"
    if days < 1:
        return f"{hours}:{minutes % 60:02}:{whole % 60:02}"
    return f"{days} d {hours % 24:02}:{minutes % 60:02}"


def number(value: float | None) -> str:
    """Three or four digits that matter, thousands as k, M or G; a dash when unknown."""
    if value is None:
        return "–"
    for least, factor, unit in ((999.5e6, 1e9, "G"), (999.5e3, 1e6, "M"), (1e4, 1e3, "k")):
        if abs(value) >= least:
            return f"{value / factor:.3g} {unit}"
    return f"{value:.0f}" if value == int(value) else f"{value:.4g}"


def size(count: float | None) -> str:
    """Bytes for eyes."""
    return "–" if count is None else f"{number(count)}B" if count >= 1e4 else f"{number(count)} B"


def counters(job: Json) -> str:
    """`epoch 1/3 · step 456/1000`; an inner total that is not whole is a mean (of uneven batches), shown rounded."""
    return " · ".join(_counter(each, is_inner=place > 0) for place, each in enumerate(job["counters"]))


def _counter(counter: Json, *, is_inner: bool) -> str:
    current, total = counter["current"], counter["total"]
    if is_inner and total is not None and total != int(total):
        current, total = round(current), round(total)
    return f"{counter['unit']} {number(current)}" + ("" if total is None else f"/{number(total)}")


def rate(job: Json) -> str:
    """`1.2 k rows/s`, empty when unknown."""
    if job.get("rate") is None:
        return ""
    return f"{number(job['rate'])} {job.get('rate_unit') or 'units'}/s"


def eta(job: Json) -> str:
    """`ETA 3:05 (2:40–3:50)`, with the band it lies in four times out of five; empty when unknown."""
    if job["eta_seconds"] is None:
        return ""
    low, high = job.get("eta_low_seconds"), job.get("eta_high_seconds")
    band = "" if low is None or high is None else f" ({duration(low)}–{duration(high)})"
    return f"ETA {duration(job['eta_seconds'])}{band}"


def standing(job: Json, silent_seconds: float = 0.0) -> str:
    """The phase of a running job, else the state; for how long a running one has told nothing, once that is long."""
    if job["state"] != "running":
        return job["state"]
    phase = job["phase"] or "running"
    return phase if silent_seconds < LEAST_SLOW_SECONDS else f"{phase}, silent for {duration(silent_seconds)}"


def label(job: Json) -> str:
    """What a person calls the job."""
    return job.get("study_key") or job["name"] or job["kind"]


def plain_line(job: Json) -> str:
    """One job in one line of text."""
    stands = f"{standing(job, job.get('data_age_seconds', 0.0)):<12}"
    parts = [f"{label(job):<12}", stands, f"{job['percent']:6.2f} %", counters(job), rate(job), eta(job)]
    return "  ".join(part for part in parts if part.strip())


def live_table(jobs: Iterable[Json]) -> Table:
    """One live line a job."""
    table = Table.grid(padding=(0, 2))
    for justify in ("left", "left", "left", "right", "left", "right", "right"):
        table.add_column(justify=justify, no_wrap=True)
    for job in jobs:
        table.add_row(
            Text(label(job), style="bold"),
            Text(standing(job, job.get("data_age_seconds", 0.0)), style=STATE_STYLES.get(job["state"], "dim")),
            ProgressBar(total=100, completed=job["percent"], width=_BAR_CELLS),
            f"{job['percent']:.2f} %",
            counters(job),
            rate(job),
            eta(job),
        )
    return table


def job_table(jobs: Iterable[Json]) -> Table:
    """The list of jobs."""
    table = Table(box=None, pad_edge=False, header_style="dim")
    for title in ("id", "state", "percent", "ETA", "kind", "name", "phase", "rate", "created"):
        table.add_column(title, justify="right" if title in ("percent", "ETA") else "left", no_wrap=True)
    for job in jobs:
        table.add_row(
            job["id"],
            Text(job["state"], style=STATE_STYLES.get(job["state"], "dim")),
            f"{job['percent']:.2f}",
            duration(job["eta_seconds"]),
            job["kind"],
            Text(job["name"]),
            job["phase"] or "",
            rate(job),
            job["created_at"].replace("T", " ")[:16],
        )
    return table


def failure(job: Json) -> str:
    """Why a job failed and what to do, empty if it did not."""
    error = job.get("error")
    if not error:
        return ""
    advice = f"\n  {error['advice']['text']}" if error.get("advice") else ""
    again = f"\n  headway retry {job['id']}" + (" --advised" if error.get("advice") else "")
    return f"{label(job)} failed ({error['class']}): {error['message']}{advice}{again}"
