"""A repository on a hub: listed by huggingface_hub, downloaded by ranges."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from huggingface_hub import HfApi, hf_hub_url
from huggingface_hub.errors import (
    GatedRepoError,
    HFValidationError,
    HTTPError,  # pyright: ignore[reportPrivateImportUsage]  # its HTTP client's, whichever that is
    RepositoryNotFoundError,
    RevisionNotFoundError,
)
from huggingface_hub.hf_api import RepoFile

from headway.ml.hub.download import REFUSALS, TOO_MANY_REQUESTS, RangeDownloader
from headway.ml.hub.errors import SourceError, SourceNetworkError
from headway.ml.hub.files import SourceFile, SourceType
from headway.ml.hub.remote import endpoint, token


class HubSource:
    """A hub repository at a revision, pinned to its commit when it is listed."""

    def __init__(self, repo_id: str, source_type: SourceType, revision: str = "main") -> None:
        self._repo_id, self._type, self._revision = repo_id, source_type, revision
        self._endpoint, self._token = endpoint(), token()
        self._commit = ""
        self._license: str | None = None

    def files(self) -> list[SourceFile]:
        """The files of the commit that the revision names now, with the hashes the hub has for them."""
        api = HfApi(endpoint=self._endpoint, token=self._token or False)
        try:
            info = api.repo_info(self._repo_id, revision=self._revision, repo_type=self._type)
            self._commit = info.sha or self._revision
            self._license = next(
                (tag.partition(":")[2] for tag in getattr(info, "tags", None) or [] if tag.startswith("license:")), None
            )
            entries = api.list_repo_tree(self._repo_id, revision=self._commit, repo_type=self._type, recursive=True)
            return [
                SourceFile(entry.path, entry.size, entry.lfs.sha256 if entry.lfs else None, entry.blob_id)
                for entry in entries
                if isinstance(entry, RepoFile)
            ]
        except (HTTPError, OSError, HFValidationError) as error:
            raise self._explained(error) from error

    def fetch(self, file: SourceFile, part: Path, on_bytes: Callable[[int], None]) -> None:
        """Download one file of the commit listed."""
        with RangeDownloader(self._token) as downloader:
            downloader.download(self.place(file), part, file.size, on_bytes)

    def place(self, file: SourceFile) -> str:
        """The address of one file of the commit listed."""
        return hf_hub_url(
            self._repo_id, file.path, repo_type=self._type, revision=self._commit, endpoint=self._endpoint
        )

    def describe(self) -> dict[str, Any]:
        """Repository, endpoint, commit and licence."""
        return {
            "source": self._repo_id,
            "endpoint": self._endpoint,
            "revision": self._commit,
            "license": self._license,
        }

    def _explained(self, error: Exception) -> Exception:
        name = f"{self._repo_id} on {self._endpoint}"
        if isinstance(error, GatedRepoError):
            return SourceError(f"{name} {REFUSALS[403]}")
        if isinstance(error, RepositoryNotFoundError):
            return SourceError(f"{name} does not exist, or is private and HF_TOKEN does not open it")
        if isinstance(error, RevisionNotFoundError):
            return SourceError(f"{name} has no revision {self._revision!r}")
        if isinstance(error, HFValidationError):
            return SourceError(str(error))
        status = getattr(getattr(error, "response", None), "status_code", 0)
        if status in REFUSALS:
            return SourceError(f"{name} {REFUSALS[status]}")
        if status == TOO_MANY_REQUESTS:
            return SourceNetworkError(
                f"{name} takes no more requests from here for now (429): retry later, or set HF_TOKEN"
            )
        return SourceNetworkError(f"{name} cannot be listed ({error or type(error).__name__}): retry later")
