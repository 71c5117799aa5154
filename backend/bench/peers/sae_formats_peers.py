"""The peers' half of `sae_formats.py`, run in their environment.

sae_formats_peers.py write FOLDER     small SAEs of every kind they have, with what each makes of some rows
sae_formats_peers.py answer FOLDER    what SAELens makes of the rows beside each SAE of ours
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

os.environ |= {"WANDB_MODE": "disabled", "SPARSIFY_DISABLE_TRITON": "1"}  # Triton is for GPUs
import sae_lens as sl
import torch
from dictionary_learning.dictionary import AutoEncoder, AutoEncoderNew, GatedAutoEncoder, JumpReluAutoEncoder
from dictionary_learning.trainers.batch_top_k import BatchTopKSAE
from dictionary_learning.trainers.matryoshka_batch_top_k import MatryoshkaBatchTopKSAE
from dictionary_learning.trainers.top_k import AutoEncoderTopK
from safetensors.torch import load_file, save_file
from sparsify import SparseCoder, SparseCoderConfig
from torch import Tensor

D_IN, D_OUT, D_SAE, K, ROWS = 6, 5, 16, 3, 20
FACTOR = 1.7
ANSWERS = "answers.safetensors"


def shaken(module: torch.nn.Module) -> Any:
    """With every weight moved, so that nothing that starts at 0 stays there; thresholds stay above 0."""
    with torch.no_grad():
        for name, tensor in module.named_parameters():
            tensor.add_(0.3 * torch.randn_like(tensor))
            if "threshold" in name:
                tensor.abs_()
    return module


def keep(folder: Path, rows: Tensor, codes: Tensor, out: Tensor) -> None:
    """Write what an SAE makes of some rows beside it."""
    tensors = {"rows": rows, "codes": codes, "out": out}
    save_file({name: tensor.detach().contiguous() for name, tensor in tensors.items()}, folder / ANSWERS)


def saelens() -> Iterator[tuple[str, Any]]:
    """SAELens' kinds by a name."""
    common = {"d_in": D_IN, "d_sae": D_SAE, "dtype": "float32", "device": "cpu"}
    across = common | {"d_out": D_OUT, "apply_b_dec_to_input": False}
    yield "topk", sl.TopKSAE(sl.TopKSAEConfig(k=K, **common))
    yield "topk_rescaled", sl.TopKSAE(sl.TopKSAEConfig(k=K, rescale_acts_by_decoder_norm=True, **common))
    yield "standard", sl.StandardSAE(sl.StandardSAEConfig(**common))
    yield "scaled", sl.StandardSAE(sl.StandardSAEConfig(normalize_activations="expected_average_only_in", **common))
    yield "jumprelu", sl.JumpReLUSAE(sl.JumpReLUSAEConfig(**common))
    yield "gated", sl.GatedSAE(sl.GatedSAEConfig(**common))
    yield "transcoder", sl.Transcoder(sl.TranscoderConfig(**across))
    yield "skip_transcoder", sl.SkipTranscoder(sl.SkipTranscoderConfig(**across))
    yield "jumprelu_transcoder", sl.JumpReLUTranscoder(sl.JumpReLUTranscoderConfig(**across))
    yield "batch_topk", sl.BatchTopKTrainingSAE(sl.BatchTopKTrainingSAEConfig(k=K, **common))
    widths = {"matryoshka_widths": [4, D_SAE]}
    config = sl.MatryoshkaBatchTopKTrainingSAEConfig(k=K, **widths, **common)
    yield "matryoshka", sl.MatryoshkaBatchTopKTrainingSAE(config)


def write_saelens(folder: Path, rows: Tensor) -> None:
    """Each as it saves it, with what it makes of the rows when it has loaded it again."""
    for name, made in saelens():
        place = folder / f"saelens_{name}"
        sae = shaken(made)
        if name in ("batch_topk", "matryoshka"):
            sae.topk_threshold.fill_(0.4)
            sae.save_inference_model(place)
        else:
            sae.save_model(place)
        sae = sl.SAE.load_from_disk(place)
        if name == "scaled":
            config = json.loads((place / "cfg.json").read_text())
            (place / "cfg.json").write_text(json.dumps(config | {"norm_scaling_factor": FACTOR}))
            sae.fold_activation_norm_scaling_factor(FACTOR)
        keep(place, rows, sae.encode(rows), sae(rows))


def write_sparsify(folder: Path, rows: Tensor) -> None:
    """An autoencoder and a skip transcoder."""
    kinds = {"topk": {}, "skip_transcoder": {"transcode": True, "skip_connection": True}}
    for name, kind in kinds.items():
        place = folder / f"sparsify_{name}"
        coder = shaken(SparseCoder(D_IN, SparseCoderConfig(num_latents=D_SAE, k=K, **kind)))
        coder.save_to_disk(place)
        values, features, pre = coder.encode(rows)
        codes = torch.zeros_like(pre).scatter(1, features, values)
        keep(place, rows, codes, coder(rows).sae_out)


def write_dictionary_learning(folder: Path, rows: Tensor) -> None:
    """Every class that its trainers make, laid as `trainSAE` lays them."""
    dictionaries = [
        AutoEncoder(D_IN, D_SAE),
        AutoEncoderNew(D_IN, D_SAE),
        GatedAutoEncoder(D_IN, D_SAE),
        JumpReluAutoEncoder(D_IN, D_SAE),
        AutoEncoderTopK(D_IN, D_SAE, K),
        BatchTopKSAE(D_IN, D_SAE, K),
        MatryoshkaBatchTopKSAE(D_IN, D_SAE, K, [4, D_SAE - 4]),
    ]
    for made in dictionaries:
        name = type(made).__name__
        place = folder / f"dictionary_learning_{name}"
        place.mkdir()
        sae = shaken(made)
        if hasattr(sae, "group_sizes") or isinstance(sae, BatchTopKSAE):
            sae.threshold.fill_(0.4)
        torch.save(sae.state_dict(), place / "ae.pt")
        (place / "config.json").write_text(json.dumps({"trainer": {"dict_class": name}}))
        codes = sae.encode(rows)
        keep(place, rows, codes, sae.decode(codes))


def answer(folder: Path) -> None:
    """Load each of ours by SAELens and write what it makes of its rows."""
    for place in sorted(each.parent for each in folder.glob("*/rows.safetensors")):
        rows = load_file(place / "rows.safetensors")["rows"]
        sae = sl.SAE.load_from_disk(place)
        keep(place, rows, sae.encode(rows), sae(rows))


def write(folder: Path) -> None:
    """All of theirs."""
    torch.manual_seed(0)
    rows = torch.randn(ROWS, D_IN)
    for each in (write_saelens, write_sparsify, write_dictionary_learning):
        each(folder, rows)


with torch.no_grad():
    {"write": write, "answer": answer}[sys.argv[1]](Path(sys.argv[2]))
