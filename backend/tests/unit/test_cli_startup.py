"""The command line starts quickly because it imports what a command needs, when it needs it."""

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
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True)
    return done.stdout.splitlines()[-1]


def test_help_imports_nothing_heavy() -> None:
    without_rich = tuple(name for name in HEAVY if name != "rich")  # typer draws its help with it
    assert run("--help", heavy=without_rich) == "[] 0"


@pytest.mark.parametrize("command", ["ls", "watch", "run", "up", "worker", "doctor", "demo"])
def test_no_command_imports_torch_or_the_database_to_explain_itself(command: str) -> None:
    assert run(command, "--help", heavy=("torch", "sqlalchemy", "celery", "aiohttp")) == "[] 0"
