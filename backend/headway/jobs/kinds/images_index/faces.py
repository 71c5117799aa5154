"""What finds faces: OpenCV's cascade, or MTCNN where its package is installed."""

from __future__ import annotations

import importlib.util
import threading
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import cv2
import numpy as np
from PIL import Image

from headway.errors import FieldProblem, InvalidInputError

#: What is cut out around a face, as a share of its box on each side.
MARGIN = 0.2
MTCNN_COMMAND = "pip install --no-deps facenet-pytorch torchvision"


class Box(NamedTuple):
    """A face in pixels of the picture it was looked for on, and how sure the detector is (larger is surer)."""

    left: int
    top: int
    width: int
    height: int
    score: float


class Detector(Protocol):
    """Finds faces; `key` names the detector and its settings. `find` may be called by several threads at once."""

    key: str

    def find(self, image: Image.Image) -> list[Box]:
        """The faces of an RGB picture, from left to right."""
        ...


class Cascade:
    """Frontal faces by OpenCV's boosted cascade `frontalface_alt2`: quick, without a network, blind to profiles.

    Source: Viola and Jones, Rapid Object Detection using a Boosted Cascade of Simple Features (2001).
    """

    def __init__(self, least_face: int) -> None:
        self.key = f"cascade-alt2/1/{least_face}"
        self._least = least_face
        self._file = str(Path(cv2.__file__).parent / "data" / "haarcascade_frontalface_alt2.xml")
        self._own = threading.local()
        # pictures are looked at side by side: threads within one would only wait for each other
        cv2.setNumThreads(1)

    def find(self, image: Image.Image) -> list[Box]:
        """Faces of at least `least_face` px."""
        grey = np.asarray(image.convert("L"))
        boxes, _, scores = self._classifier.detectMultiScale3(
            grey, scaleFactor=1.1, minNeighbors=5, minSize=(self._least, self._least), outputRejectLevels=True
        )
        found = zip(np.reshape(boxes, (-1, 4)).tolist(), np.ravel(scores).tolist(), strict=True)
        return sorted(Box(left, top, width, height, score) for (left, top, width, height), score in found)

    @property
    def _classifier(self) -> Any:
        """One a thread: a classifier keeps the picture it works on."""
        if not hasattr(self._own, "classifier"):
            self._own.classifier = cv2.CascadeClassifier(self._file)
        return self._own.classifier


class Mtcnn:
    """Faces by MTCNN with the weights of facenet-pytorch.

    Source: Zhang et al., Joint Face Detection and Alignment using Multi-task Cascaded CNNs, arXiv:1604.02878.
    """

    def __init__(self, least_face: int, device: str) -> None:
        if any(importlib.util.find_spec(module) is None for module in ("facenet_pytorch", "torchvision")):
            problem = f"mtcnn is not installed: `{MTCNN_COMMAND}`, with the torchvision of this torch; or use cascade"
            raise InvalidInputError(FieldProblem("config.detector", problem))
        network: Any = importlib.import_module("facenet_pytorch").MTCNN
        self.key = f"mtcnn/1/{least_face}"
        self._model = network(keep_all=True, min_face_size=least_face, device=device)

    def find(self, image: Image.Image) -> list[Box]:
        """Faces of at least `least_face` px."""
        boxes, scores = self._model.detect(image)
        if boxes is None:
            return []
        found: list[Box] = []
        for (left, top, right, bottom), score in zip(boxes, scores, strict=True):
            x, y = max(0, round(left)), max(0, round(top))
            width, height = min(image.width, round(right)) - x, min(image.height, round(bottom)) - y
            if width > 0 and height > 0:
                found.append(Box(x, y, width, height, float(score)))
        return sorted(found)


def open_detector(name: str, least_face: int, device: str) -> Detector:
    """The detector of a config. Raises InvalidInputError that says how to add one that is not installed."""
    return Mtcnn(least_face, device) if name == "mtcnn" else Cascade(least_face)


def cut_out(image: Image.Image, box: Box) -> Image.Image:
    """The face with a margin around it, as far as the picture reaches."""
    x, y = round(box.width * MARGIN), round(box.height * MARGIN)
    right, bottom = box.left + box.width + x, box.top + box.height + y
    return image.crop((max(0, box.left - x), max(0, box.top - y), min(image.width, right), min(image.height, bottom)))
