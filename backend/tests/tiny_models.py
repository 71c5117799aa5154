"""Small random models with real architectures and tokenizers, made on the spot."""

from __future__ import annotations

from pathlib import Path

import torch
from tokenizers import Tokenizer, models, pre_tokenizers, processors
from transformers import BertConfig, BertModel, LlamaConfig, LlamaForCausalLM, LlamaModel, PreTrainedTokenizerFast

from headway.ml.text.token_store import TokenManifest, TokenStore, TokenWriter

WORDS = "the cat sat on a mat and saw how one dog ran by to its own house in rain or sun with old hat".split()  # noqa: SIM905
HIDDEN = 16


def tiny_bert(folder: Path, layers: int = 3) -> Path:
    """An encoder whose tokenizer puts [CLS] before a text and [SEP] behind it."""
    torch.manual_seed(0)
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]"]
    config = BertConfig(
        vocab_size=len(special) + len(WORDS),
        hidden_size=HIDDEN,
        num_hidden_layers=layers,
        num_attention_heads=2,
        intermediate_size=32,
        max_position_embeddings=64,
    )
    BertModel(config).save_pretrained(folder)
    tokenizer = _words(special, "[UNK]")
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        pad_token="[PAD]",
        unk_token="[UNK]",
        cls_token="[CLS]",
        sep_token="[SEP]",
        model_max_length=64,
    ).save_pretrained(folder)
    return folder


def tiny_llama(folder: Path, layers: int = 3, *, head: bool = False) -> Path:
    """A decoder, with its `head` or without, whose tokenizer puts <s> before a text and ends documents with </s>."""
    torch.manual_seed(0)
    special = ["<unk>", "<s>", "</s>"]
    config = LlamaConfig(
        vocab_size=len(special) + len(WORDS),
        hidden_size=HIDDEN,
        num_hidden_layers=layers,
        num_attention_heads=2,
        num_key_value_heads=1,
        intermediate_size=32,
        max_position_embeddings=64,
    )
    (LlamaForCausalLM if head else LlamaModel)(config).save_pretrained(folder)
    tokenizer = _words(special, "<unk>")
    tokenizer.post_processor = processors.TemplateProcessing(single="<s> $A", special_tokens=[("<s>", 1)])
    PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, bos_token="<s>", eos_token="</s>", unk_token="<unk>", model_max_length=64
    ).save_pretrained(folder)
    return folder


def some_text(folder: Path, documents: int = 30) -> Path:
    """A folder of text files in the models' words."""
    folder.mkdir(parents=True, exist_ok=True)
    for number in range(documents):
        words = [WORDS[(number * 7 + place * place) % len(WORDS)] for place in range(20 + number)]
        (folder / f"{number:03d}.txt").write_text(" ".join(words))
    return folder


def store_tokens(folder: Path, contexts: list[list[int]], pad: int, special: list[int]) -> TokenStore:
    """A token store of these contexts."""
    folder.mkdir()
    writer = TokenWriter(folder)
    for context in contexts:
        writer.append(context)
    writer.finish(
        TokenManifest(
            contexts=len(contexts),
            tokens=writer.tokens,
            documents=len(contexts),
            context_length=16,
            vocab_size=30,
            pad_id=pad,
            special_ids=special,
            tokenizer="",
        )
    )
    return TokenStore(folder)


def _words(special: list[str], unknown: str) -> Tokenizer:
    vocabulary = {word: number for number, word in enumerate([*special, *WORDS])}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token=unknown))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    return tokenizer
