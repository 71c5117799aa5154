"""What people may upload: each input of a kind says which files make an artifact that it takes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Upload:
    """Names of the files, as glob patterns; `folder` where many of them make one artifact."""

    patterns: tuple[str, ...]
    folder: bool = False

    def described(self) -> dict[str, Any]:
        """As it stands in the JSON Schema of a config, under `x-upload`."""
        return {"patterns": list(self.patterns), "folder": self.folder}


#: Never pickled weights: loading them may run code.
MODEL_FILES = Upload(
    ("*.safetensors", "*.gguf", "*.json", "*.txt", "*.model", "*.jinja", "*.tiktoken", "*.md", "LICENSE*"), folder=True
)
TEXT_FILES = Upload(
    ("*.txt", "*.md", "*.rst", "*.jsonl", "*.txt.gz", "*.jsonl.gz", "*.txt.zst", "*.jsonl.zst", "*.parquet"),
    folder=True,
)
