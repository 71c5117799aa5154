"""A model is loaded whole and without running anything of its own, or refused with the reason."""

from __future__ import annotations

import json
import pickle
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers.trainer_utils import validate_quantization_for_training

from headway.errors import InvalidInputError
from headway.ml.models.causal import load_causal_model
from headway.ml.models.formats import FormatError, check_format
from headway.ml.models.load import check_loads, load_model
from headway.ml.models.tokenizer import load_tokenizer
from tests.tiny_models import tiny_bert, tiny_llama


def change_json(path: Path, **changes: object) -> None:
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


class Trap:
    """Leaves a mark on the disk when it is unpickled."""

    def __init__(self, mark: Path) -> None:
        self._mark = mark

    def __reduce__(self):
        return Path.touch, (self._mark,)


def pickled_only(folder: Path) -> None:
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")


def asks_for_code(folder: Path) -> None:
    change_json(folder / "config.json", auto_map={"AutoModel": "modeling_own.OwnModel"})


def tokenizer_asks_for_code(folder: Path) -> None:
    change_json(folder / "tokenizer_config.json", auto_map={"AutoTokenizer": ["tokenizing.Own", None]})


def truncated(folder: Path) -> None:
    path = folder / "model.safetensors"
    path.write_bytes(path.read_bytes()[:-10])


def truncated_in_the_header(folder: Path) -> None:
    path = folder / "model.safetensors"
    path.write_bytes(path.read_bytes()[:100])


def renamed_pickle(folder: Path) -> None:
    torch.save({"a": torch.zeros(3)}, folder / "model.safetensors")


def other_shapes(folder: Path) -> None:
    change_json(folder / "config.json", intermediate_size=48)


def more_layers(folder: Path) -> None:
    change_json(folder / "config.json", num_hidden_layers=5)


def shard_missing(folder: Path) -> None:
    index = {"weight_map": {"a": "model.safetensors", "b": "model-00002-of-00002.safetensors"}}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))


REFUSED = [
    (pickled_only, r"weights are pickled \(pytorch_model\.bin\).*`save_pretrained`"),
    (asks_for_code, r"config\.json asks for code .*`auto_map`: AutoModel.* never run"),
    (tokenizer_asks_for_code, r"tokenizer_config\.json asks for code"),
    (truncated, r"model\.safetensors is not a whole safetensors file .*download it again"),
    (truncated_in_the_header, r"model\.safetensors is not a whole safetensors file"),
    (renamed_pickle, r"model\.safetensors is not a whole safetensors file \(it is a zip with a pickle"),
    (other_shapes, r"is \[(16, )?32.*\] in its weights and \[(16, )?48.*\] by its config \(\d+ such in all\)"),
    (more_layers, r"it lacks .*layers?\.3.* of different models"),
    (shard_missing, r"names model-00002-of-00002\.safetensors, which is not there"),
]


@pytest.mark.parametrize("make", [tiny_bert, tiny_llama])
@pytest.mark.parametrize(("spoil", "said"), REFUSED, ids=lambda each: getattr(each, "__name__", ""))
def test_a_model_that_is_not_what_it_says_is_refused_when_loaded_and_before(tmp_path, make, spoil, said):
    folder = make(tmp_path / "model")
    spoil(folder)
    for load in (load_model, lambda folder: check_loads(folder, "config.model")):
        with pytest.raises(InvalidInputError, match=rf"(?s)config\.model: .*{said}"):
            load(folder)


def test_a_head_of_another_shape_is_refused_by_the_kinds_that_use_it(tmp_path):
    folder = tiny_llama(tmp_path / "model", head=True)
    weights = load_file(folder / "model.safetensors")
    save_file(weights | {"lm_head.weight": torch.zeros(7, 16)}, folder / "model.safetensors", {"format": "pt"})
    with pytest.raises(InvalidInputError, match=r"lm_head\.weight is \[7, 16\] in its weights"):
        load_causal_model(folder)


def test_a_tokenizer_that_asks_for_code_is_refused(tmp_path):
    tokenizer_asks_for_code(tiny_bert(tmp_path / "model"))
    with pytest.raises(InvalidInputError, match=r"config\.model: tokenizer_config\.json asks for code"):
        load_tokenizer(tmp_path / "model")


def test_a_pickle_beside_safetensors_is_never_opened(tmp_path):
    folder, mark = tiny_llama(tmp_path / "model", head=True), tmp_path / "it ran"
    for name in ("pytorch_model.bin", "training_args.bin", "optimizer.pt"):
        (folder / name).write_bytes(pickle.dumps(Trap(mark)))
    load_model(folder)
    load_causal_model(folder)
    load_tokenizer(folder)
    assert not mark.exists()
    pickle.loads((folder / "pytorch_model.bin").read_bytes())  # noqa: S301  # the trap does work
    assert mark.exists()


def test_an_encoder_saved_without_its_pooler_is_loaded_all_the_same(tmp_path):
    folder = tiny_bert(tmp_path / "model")
    weights = load_file(folder / "model.safetensors")
    kept = {name: weight for name, weight in weights.items() if not name.startswith("pooler.")}
    assert len(kept) < len(weights)
    save_file(kept, folder / "model.safetensors", {"format": "pt"})
    load_model(folder)


def test_a_gguf_that_was_cut_is_known_by_its_header(tmp_path):
    from gguf import GGUFWriter

    path = tmp_path / "model.gguf"
    writer = GGUFWriter(path, "llama")
    writer.add_tensor("a", torch.zeros(32, 64).numpy())
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    check_format(path, "model.gguf")
    whole = path.read_bytes()
    for length in (len(whole) - 10, len(whole) // 2, 100, 4):
        path.write_bytes(whole[:length])
        with pytest.raises(FormatError, match=r"model\.gguf is not a whole gguf file"):
            check_format(path, "model.gguf")


def test_a_gguf_is_loaded_without_a_bar_in_the_log(tmp_path, capfd):
    write_gguf(tmp_path / "model.gguf")
    assert load_causal_model(tmp_path).config.hidden_size == 8
    assert capfd.readouterr().err == ""


def test_a_gguf_becomes_a_model_that_can_be_trained_and_saved(tmp_path):
    write_gguf(tmp_path / "model.gguf")
    model = load_causal_model(tmp_path)
    validate_quantization_for_training(model)
    model.save_pretrained(tmp_path / "saved")
    saved = load_causal_model(tmp_path / "saved")
    assert {weight.dtype for weight in saved.parameters()} == {torch.float32}


def write_gguf(path: Path) -> None:
    """A llama of one block, its weights all zero."""
    from gguf import GGUFWriter

    writer = GGUFWriter(path, "llama")
    writer.add_block_count(1)
    writer.add_context_length(32)
    writer.add_embedding_length(8)
    writer.add_feed_forward_length(16)
    writer.add_head_count(2)
    writer.add_rope_dimension_count(4)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_vocab_size(12)
    shapes = {"token_embd": (12, 8), "output": (12, 8), "output_norm": (8,)}
    block = {"attn_norm": (8,), "ffn_norm": (8,), "ffn_gate": (16, 8), "ffn_up": (16, 8), "ffn_down": (8, 16)}
    block |= dict.fromkeys(("attn_q", "attn_k", "attn_v", "attn_output"), (8, 8))
    for name, shape in (shapes | {f"blk.0.{name}": shape for name, shape in block.items()}).items():
        writer.add_tensor(f"{name}.weight", torch.zeros(shape).numpy())
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
