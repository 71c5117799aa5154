"""The work of `sae.publish`."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable
from pathlib import Path

from huggingface_hub import CommitOperationAdd, HfApi
from huggingface_hub.errors import HfHubHTTPError
from huggingface_hub.hf_api import RepoFile

from headway.errors import FieldProblem, HeadwayError, InvalidInputError
from headway.jobs.context import JobContext
from headway.jobs.kinds.sae_publish.card import card
from headway.jobs.kinds.sae_publish.config import SaePublishConfig
from headway.ml.hub.errors import SourceNetworkError
from headway.ml.hub.remote import endpoint, token
from headway.ml.sae.saelens import CONFIG_FILE, SPARSITY_FILE, WEIGHTS_FILE, load_sae

CARD_FILE = "README.md"
REFUSALS = (401, 403)


def run(config: SaePublishConfig, job: JobContext) -> None:
    """Lay the repository out, upload it in one commit, and check what the hub has then."""
    folder = job.output("repository")
    with job.phase("preparing"):
        job.stop_if_asked()
        if not config.preview and not token():
            raise InvalidInputError(FieldProblem("config.repo_id", "writing to it needs a token: set HF_TOKEN"))
        files = _lay_out(config, job, folder)
    if config.preview:
        job.skip_phase("uploading")
    else:
        with job.phase("uploading"):
            _explained(config.repo_id, lambda: _upload(config, job, folder, files))
    with job.phase("verifying"):
        if not config.preview:
            _explained(config.repo_id, lambda: _check(config, folder, files))
        meta = {"name": config.repo_id, "repo_id": config.repo_id, "uploaded": not config.preview, "files": len(files)}
        job.artifact("repository", meta=meta | ({} if config.preview else {"url": f"{endpoint()}/{config.repo_id}"}))


def _lay_out(config: SaePublishConfig, job: JobContext, folder: Path) -> list[str]:
    """Copy each SAE that loads, and write the card; answers the files' names."""
    source = job.input("sae")
    names = sorted(path.parent.relative_to(source).as_posix() for path in source.rglob(CONFIG_FILE))
    if not names:
        raise InvalidInputError(FieldProblem("config.sae", "it holds no SAE: choose what `sae.train` made"))
    for name in job.track(names, unit="SAE"):
        load_sae(source / name)
        (folder / name).mkdir(parents=True, exist_ok=True)
        for file in (CONFIG_FILE, WEIGHTS_FILE, SPARSITY_FILE):
            if (source / name / file).exists():
                shutil.copyfile(source / name / file, folder / name / file)
    said = json.loads((source / names[0] / CONFIG_FILE).read_text()).get("metadata", {})
    text = card(config.repo_id, names, job.input_meta("sae"), said.get("model_name"))
    (folder / CARD_FILE).write_text(text, encoding="utf-8")
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


def _upload(config: SaePublishConfig, job: JobContext, folder: Path, files: list[str]) -> None:
    """Content first, file by file, then the commit that names it: an upload that is cut leaves no half repository.

    What the hub has already is not sent again.
    """
    api = HfApi(endpoint=endpoint(), token=token())
    job.say(f"Uploading {len(files)} files to {config.repo_id}")
    api.create_repo(config.repo_id, private=config.private, exist_ok=True)
    additions = [CommitOperationAdd(path_in_repo=file, path_or_fileobj=folder / file) for file in files]
    with job.count(unit="byte", total=sum((folder / file).stat().st_size for file in files)) as counter:
        for addition in additions:
            job.stop_if_asked()
            api.preupload_lfs_files(config.repo_id, additions=[addition], free_memory=False)
            counter.advance((folder / addition.path_in_repo).stat().st_size)
        api.create_commit(config.repo_id, additions, commit_message="Sparse autoencoders trained with Headway")


def _check(config: SaePublishConfig, folder: Path, files: list[str]) -> None:
    """Raises HeadwayError where the hub has another file than was sent."""
    api = HfApi(endpoint=endpoint(), token=token())
    there = {
        each.path: each for each in api.list_repo_tree(config.repo_id, recursive=True) if isinstance(each, RepoFile)
    }
    wrong = [file for file in files if file not in there or not _same(folder / file, there[file])]
    if wrong:
        raise HeadwayError(f"{config.repo_id} has not what was sent: {', '.join(wrong)}. Run it again")


def _same(path: Path, there: RepoFile) -> bool:
    content = path.read_bytes()
    if there.lfs:
        return there.lfs.sha256 == hashlib.sha256(content).hexdigest()
    return there.size == len(content)


def _explained(repo_id: str, work: Callable[[], None]) -> None:
    """Do it. Raises InvalidInputError where the hub refuses, SourceNetworkError where it cannot be reached."""
    try:
        work()
    except HfHubHTTPError as error:
        if error.response.status_code in REFUSALS:
            text = f"{endpoint()} does not let this token write to {repo_id}: use one that may (HF_TOKEN)"
            raise InvalidInputError(FieldProblem("config.repo_id", text)) from error
        raise SourceNetworkError(f"{endpoint()}: {error}. What was uploaded is not sent again by a retry") from error
    except (OSError, ConnectionError) as error:
        raise SourceNetworkError(f"{endpoint()} cannot be reached: {error}. Retry when it can") from error
