"""Ids of jobs, studies, artifacts, checkpoints and workers: 12 characters that are easy to read out and to type."""

from __future__ import annotations

import secrets

ALPHABET = "abcdefghijkmnpqrstuvwxyz23456789"
LENGTH = 12


def new_id() -> str:
    """A random id of 60 bits."""
    return "".join(secrets.choice(ALPHABET) for _ in range(LENGTH))
