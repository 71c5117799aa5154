"""What can go wrong with a source, each with what to do."""

from __future__ import annotations

from headway.errors import FieldProblem, HeadwayError, InvalidInputError


class SourceError(InvalidInputError):
    """The source named does not exist, may not be read, or holds nothing that may be used."""

    def __init__(self, message: str) -> None:
        super().__init__(FieldProblem("config.source", message))


class SourceNetworkError(HeadwayError):
    """The server cannot be reached or breaks off again and again; what was downloaded is kept."""

    title = "Network error"


class WrongHashError(SourceError):
    """A file does not have the hash its source names; it was thrown away."""

    title = "Wrong hash"
