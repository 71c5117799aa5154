"""Commands and jobs start quickly because they import what they need, when they need it."""

import subprocess
import sys

import pytest

HEAVY = ("torch", "sqlalchemy", "celery", "psycopg", "redis", "httpx", "aiohttp", "pydantic", "rich", "transformers")
LOOK = """
import sys
sys.argv = ["headway", *{arguments!r}]
from headway.cli.main import main
try:
    main()
except SystemExit as end:
    code = end.code
print([name for name in {heavy!r} if name in sys.modules], code)
"""


def run(*arguments: str, heavy: tuple[str, ...]) -> str:
    program = LOOK.format(arguments=list(arguments), heavy=heavy)
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=300, check=True)
    return done.stdout.splitlines()[-1]


def test_help_imports_nothing_heavy() -> None:
    without_rich = tuple(name for name in HEAVY if name != "rich")  # typer draws its help with it
    assert run("--help", heavy=without_rich) == "[] 0"


@pytest.mark.parametrize("command", ["ls", "watch", "run", "up", "worker", "doctor", "demo"])
def test_no_command_imports_torch_or_the_database_to_explain_itself(command: str) -> None:
    assert run(command, "--help", heavy=("torch", "sqlalchemy", "celery", "aiohttp")) == "[] 0"


@pytest.mark.parametrize(
    ("kind", "left_out"),
    [
        ("probe_work", ("torch", "numpy")),
        ("dataset_download", ("torch", "numpy", "datasets")),
        ("model_download", ("torch", "numpy")),
        ("dataset_tokenize", ("transformers.modeling_utils", "torch._dynamo")),
        ("sae_train", ("transformers", "torch._dynamo", "scipy")),
    ],
)
def test_a_job_imports_no_library_that_its_kind_may_do_without(kind: str, left_out: tuple[str, ...]) -> None:
    look = f"import headway.jobs.kinds.{kind}.run, sys; print([name for name in {left_out!r} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", look], capture_output=True, text=True, timeout=300, check=True)
    assert done.stdout == "[]\n"


@pytest.mark.parametrize(
    ("service", "left_out"),
    [
        ("api", ("torch", "transformers", "numpy", "celery", "httpx", "requests", "rich", "valkey")),
        ("workers", ("torch", "transformers", "numpy", "httpx", "requests", "rich", "aiohttp")),
    ],
)
def test_a_service_starts_without_what_it_does_not_use(service: str, left_out: tuple[str, ...]) -> None:
    program = f"import sys, headway.{service}.app; print([name for name in {left_out!r} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=300, check=True)
    assert done.stdout == "[]\n"


def test_what_was_hidden_from_a_library_can_be_imported_afterwards() -> None:
    program = "import headway.api.app, requests, rich.console, valkey; print(requests.__name__)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=300, check=True)
    assert done.stdout == "requests\n"
