"""Pictures a second of `images.index` beside a bare loop over the same files: read, embed, find faces.

    python bench/images.py [--pictures 240] [--rounds 3]

The bare loop reads each file once, decodes it once, embeds in the same batches and looks for faces at the same size, on
the same two threads (torch's in the network, OpenCV's in the cascade); it keeps nothing but vectors and boxes. Ours
starts from an empty cache; thumbnails, hashes, the cache, face embeddings and progress are in its two phases, whose
time is read from its own records. Starting up and grouping are in neither. Rounds alternate, the median is told.
"""

from __future__ import annotations

import argparse
import shutil
import statistics
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import cv2
import numpy as np
import torch
from PIL import Image, ImageEnhance

from headway.jobs.kinds.images_index.embedders import EfficientNetLite0
from headway.jobs.kinds.images_index.sources import example_path
from headway.spool.reader import SpoolReader
from headway.spool.records import EventKind
from tests.kind_runs import run_kind

THREADS, BATCH, SIDE, LEAST = 2, 8, 640, 32
MOTIFS = ("astronaut.png", "chelsea.png", "coffee.png", "rocket.jpg", "motorcycle_left.png", "hubble_deep_field.jpg")
TARGET = 0.9


def make_pictures(folder: Path, count: int) -> None:
    """Photos of about 1.5 megapixels, each another crop and brightness."""
    chance = np.random.default_rng(0)
    for no in range(count):
        image = Image.open(example_path() / MOTIFS[no % len(MOTIFS)]).convert("RGB")
        left, top, right, bottom = chance.uniform(0, 0.1, 4) * (*image.size, *image.size)
        cropped = image.crop((int(left), int(top), int(image.width - right), int(image.height - bottom)))
        scale = 1400 / max(cropped.size)
        sized = cropped.resize((round(cropped.width * scale), round(cropped.height * scale)), Image.Resampling.BICUBIC)
        ImageEnhance.Brightness(sized).enhance(chance.uniform(0.7, 1.3)).save(folder / f"{no:05d}.jpg", quality=90)


def bare(folder: Path) -> float:
    """Pictures a second of the plain loop."""
    torch.set_num_threads(THREADS)
    cv2.setNumThreads(THREADS)
    embedder = EfficientNetLite0("cpu")
    cascade = cv2.CascadeClassifier(str(Path(cv2.__file__).parent / "data" / "haarcascade_frontalface_alt2.xml"))
    files = sorted(folder.iterdir())
    began = time.perf_counter()
    for begin in range(0, len(files), BATCH):
        images = [Image.open(path).convert("RGB") for path in files[begin : begin + BATCH]]
        embedder.embed(np.stack([embedder.prepare(image) for image in images]))
        for image in images:
            scale = SIDE / max(image.size)
            grey = image.resize((round(image.width * scale), round(image.height * scale)), Image.Resampling.BILINEAR)
            cascade.detectMultiScale3(
                np.asarray(grey.convert("L")), 1.1, 5, minSize=(LEAST, LEAST), outputRejectLevels=True
            )
    return len(files) / (time.perf_counter() - began)


def ours(folder: Path, into: Path) -> float:
    """Pictures a second over both phases, from the first picture to the last."""
    config = {"path": str(folder), "batch_size": BATCH, "detection_side": SIDE, "least_face": LEAST}
    ran = run_kind(into, "images.index", config, threads=THREADS)
    assert ran.result["outcome"] == "completed", ran.result
    began: dict[str, float] = {}
    ended: dict[str, float] = {}
    reader = SpoolReader(into / "spool")
    while (batch := reader.read()).records:
        for event in batch.events:
            name = event.data.get("phase") or event.data.get("name")
            if event.kind is EventKind.COUNTERS and name == "embedding":
                began.setdefault(name, event.at)
            elif event.kind is EventKind.PHASE_STARTED and name == "face_detection":
                began[name] = event.at
            elif event.kind is EventKind.PHASE_FINISHED:
                ended[name] = event.at
    return len(list(folder.iterdir())) / sum(ended[name] - began[name] for name in began)


def main() -> int:
    """Alternate both and print the medians; 1 if the aim is missed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pictures", type=int, default=240)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    rates: dict[str, list[float]] = {"bare": [], "ours": []}
    with tempfile.TemporaryDirectory() as place:
        pictures = Path(place, "pictures")
        pictures.mkdir()
        make_pictures(pictures, options.pictures)
        for _ in range(options.rounds):
            rates["bare"].append(bare(pictures))
            rates["ours"].append(ours(pictures, Path(place, "job")))
            shutil.rmtree(Path(place, "job"))
    print(f"{options.pictures} JPEGs of 1400 px, {THREADS} threads, medians of {options.rounds} alternating rounds")
    medians = {name: statistics.median(values) for name, values in rates.items()}
    for name, value in medians.items():
        print(f"{name:6}{value:8.2f} pictures/s   ({', '.join(f'{each:.2f}' for each in rates[name])})")
    ratio = medians["ours"] / medians["bare"]
    print(f"ours / bare: {ratio:.2f} (at least {TARGET}: {'met' if ratio >= TARGET else 'MISSED'})")
    return 0 if ratio >= TARGET else 1


if __name__ == "__main__":
    sys.exit(main())
