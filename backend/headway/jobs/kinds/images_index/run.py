"""The work of `images.index`: embed the pictures, find the faces, group both."""

from __future__ import annotations

import sqlite3
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import torch

from headway.jobs.context import JobContext
from headway.jobs.kinds.images_index.cache import Cache
from headway.jobs.kinds.images_index.clustering import cluster
from headway.jobs.kinds.images_index.config import ImagesConfig
from headway.jobs.kinds.images_index.detecting import find_faces
from headway.jobs.kinds.images_index.embedders import Embedder, open_embedder
from headway.jobs.kinds.images_index.embedding import embed_pictures
from headway.jobs.kinds.images_index.faces import Detector, open_detector
from headway.jobs.kinds.images_index.results import told
from headway.jobs.kinds.images_index.session import Session, done_before
from headway.jobs.kinds.images_index.sources import Limits, Source, example_path, open_source
from headway.jobs.kinds.images_index.work import Work


def run(config: ImagesConfig, job: JobContext) -> None:
    """Index the source's pictures, from the checkpoint where there is one."""
    torch.set_num_threads(job.threads)
    with job.phase("embedding"):
        source = _source(config, job)
        # what does not fit is said before the long work, not after it
        detector = open_detector(config.detector, config.least_face, job.device)
        job.say("Loading the embedder")
        embedder = open_embedder(config.embedder, config.embedder_path, job.device)
        with ThreadPoolExecutor(job.threads, "headway-picture") as pool:
            session = _session(config, job, source, embedder, detector, pool)
            job.say(f"{len(session.names):,} pictures in {source.name}")
            embed_pictures(session)
    with ThreadPoolExecutor(job.threads, "headway-face") as pool:
        session.pool = pool
        with job.phase("face_detection"):
            job.say("Looking for faces")
            find_faces(session)
    with job.phase("clustering"):
        results = cluster(session)
        summary = told(session, results)
        session.work.close(remove=True)
        job.artifact("index", meta=summary)
    session.cache.prune(config.cache_mb << 20)
    session.cache.close()
    clustering = summary["clustering"]
    job.say(f"{clustering['groups']} groups of pictures, {clustering['face_groups']} of faces")


def _source(config: ImagesConfig, job: JobContext) -> Source:
    job.say("Listing the pictures")
    limits = Limits(config.most_pictures, config.most_picture_mb << 20, config.most_total_gb << 30)
    if config.path:
        return open_source(Path(config.path), limits, "path")
    if config.dataset:
        return open_source(job.input("dataset"), limits, "dataset")
    return open_source(example_path(), limits, "example")


def _session(
    config: ImagesConfig, job: JobContext, source: Source, embedder: Embedder, detector: Detector,
    pool: ThreadPoolExecutor,
) -> Session:  # fmt: skip
    done, folder = done_before(job), job.output("index")
    try:
        work = Work(folder, source.listing, fresh=done is None)
    except sqlite3.DatabaseError:
        # a damaged file is made anew: what it held is still in the cache
        work = Work(folder, source.listing, fresh=True)
    work.cut(done["embedded"] if done else 0, done["looked"] if done else 0)
    session = Session(
        config, job, source, work.names, embedder, detector, Cache(job.cache("images"), job.job_id), work, pool
    )
    job.expect("face_detection", unit="picture", total=len(session.names), start=work.counts.looked)
    return session
