"""`headway`: every command, and how its errors end. Commands import what they need when they run: help is quick."""

from __future__ import annotations

import sys

import typer

from headway.cli import job_commands, maintenance_commands, service_commands, upload_commands
from headway.errors import HeadwayError, InvalidInputError, SettingsError

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Long-running training whose progress is true and whose crashes lose nothing.",
)
service_commands.register(app)
job_commands.register(app)
upload_commands.register(app)
maintenance_commands.register(app)

WRONG_INPUT, FAILED, INTERRUPTED = 2, 1, 130


def main() -> None:
    """Run the command line. Exit codes: 0 done, 1 failed, 2 wrong input, 3 the job was cancelled, 130 interrupted."""
    try:
        app()
    except (InvalidInputError, SettingsError) as error:
        _complain(error)
        sys.exit(WRONG_INPUT)
    except HeadwayError as error:
        _complain(error)
        sys.exit(FAILED)
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)
    except BrokenPipeError:  # `headway ls | head`
        sys.stderr.close()
        sys.exit(FAILED)


def _complain(error: HeadwayError) -> None:
    lines = [str(problem) for problem in error.problems] if isinstance(error, InvalidInputError) else [str(error)]
    for line in lines:
        typer.echo(line, err=True)


if __name__ == "__main__":
    main()
