"""Which files hold text, by their names."""

from __future__ import annotations

PLAIN_SUFFIXES = (".txt", ".md", ".rst")
LINES_SUFFIX, PARQUET_SUFFIX = ".jsonl", ".parquet"
PACKED_SUFFIXES = (".gz", ".zst")
TEXT_SUFFIXES = (
    *PLAIN_SUFFIXES,
    LINES_SUFFIX,
    *(suffix + packed for suffix in (".txt", LINES_SUFFIX) for packed in PACKED_SUFFIXES),
    PARQUET_SUFFIX,
)


def is_json_lines(name: str) -> bool:
    """Whether a file, packed or not, holds JSON lines."""
    bare = next((name.removesuffix(packed) for packed in PACKED_SUFFIXES if name.endswith(packed)), name)
    return bare.endswith(LINES_SUFFIX)
