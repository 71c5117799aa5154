"""trackio, into a local folder."""

from __future__ import annotations

import os
import sys

from measure import Scalars, report

os.environ |= {"TRACKIO_DIR": sys.argv[1], "HF_HOME": sys.argv[1], "HF_HUB_OFFLINE": "1"}
os.environ["GRADIO_ANALYTICS_ENABLED"] = "0"

import trackio  # after its settings, which it reads on import

trackio.init(project="bench", name="run")


def call(step: int, row: Scalars) -> None:
    trackio.log(row, step=step)


report(call)
trackio.finish()
