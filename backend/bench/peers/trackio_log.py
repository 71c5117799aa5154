"""trackio, into a local folder."""

from __future__ import annotations

import os
import sys

from measure import NAMES, Scalars, report

os.environ |= {"TRACKIO_DIR": sys.argv[1], "HF_HOME": sys.argv[1], "HF_HUB_OFFLINE": "1"}
os.environ["GRADIO_ANALYTICS_ENABLED"] = "0"

import trackio  # after its settings, which it reads on import

A, B, C, D, E = NAMES
trackio.init(project="bench", name="run")


def call(step: int, row: Scalars) -> None:
    trackio.log({A: row[0], B: row[1], C: row[2], D: row[3], E: row[4]}, step=step)


report(call)
trackio.finish()
