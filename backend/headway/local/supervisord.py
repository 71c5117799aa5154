"""`python -m headway.local.supervisord CONFIG`: supervisord in the foreground, ending in order when `up` is gone."""

from __future__ import annotations

import os
import sys

from supervisor import supervisord

from headway.parent_death import PARENT_PID, end_with_parent


def main(config: str) -> None:
    """Run supervisord; what it starts learns whose child it is."""
    end_with_parent()
    os.environ[PARENT_PID] = str(os.getpid())
    supervisord.main(["--nodaemon", "--silent", "--configuration", config])


if __name__ == "__main__":
    main(sys.argv[1])
