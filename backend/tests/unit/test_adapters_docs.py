"""The examples of docs/development/adapters.md run as they stand."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import lightning
import pytest
import torch
from transformers import Trainer, TrainingArguments

from tests.adapter_runs import make_job
from tests.unit.test_adapters_lightning import Line, rows
from tests.unit.test_adapters_transformers import Texts, tiny_model

GUIDE = Path(__file__).parents[3] / "docs" / "development" / "adapters.md"
EXAMPLES = re.findall(r"```python\n(.*?)```", GUIDE.read_text(), re.DOTALL)

pytestmark = pytest.mark.filterwarnings("ignore")


def names(folder: Path) -> dict[str, Any]:
    """What the examples leave to the reader."""
    arguments = TrainingArguments(
        str(folder / "trainer"), eval_strategy="epoch", logging_steps=1, report_to=[], use_cpu=True, disable_tqdm=True
    )
    return {
        "batches": [1.0, 2.0],
        "step_of": lambda batch: batch / 2,
        "Trainer": Trainer,
        "model": tiny_model(),
        "arguments": arguments,
        "texts": Texts(8),
        "held_out": Texts(4),
        "lightning": lightning,
        "module": Line(),
        "loader": rows(8),
        "held_out_loader": rows(4),
        "settings": {"default_root_dir": folder, "accelerator": "cpu", "log_every_n_steps": 1},
    }


@pytest.mark.parametrize(("example", "last_step"), list(zip(EXAMPLES, (5, 3, 3), strict=True)))
def test_example_runs_and_counts(example: str, last_step: int, tmp_path: Path) -> None:
    torch.set_num_threads(1)
    job = make_job(tmp_path / "job", "training", "evaluating")
    ran = job.run(lambda context: exec(example, names(tmp_path) | {"job": context}))  # noqa: S102  # the guide's own
    assert ran.result["outcome"] == "completed"
    assert max(ran.metrics["loss"]) == last_step
