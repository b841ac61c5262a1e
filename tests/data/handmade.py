"""Byte-level tokenizers whose merges are written down, so that tokens can be told by hand."""

from __future__ import annotations

from typing import Any

from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast

from tests.data.conftest import CHAT


def merging(*merges: tuple[str, str], bos: bool = True, normalizer: Any = None, window: int = 10**6) -> Any:
    """Every byte a token, but for these merges of byte characters (a line break is Ċ, a space Ġ)."""
    symbols = ["<s>", "</s>", "<pad>", *sorted(pre_tokenizers.ByteLevel.alphabet())]
    vocabulary = {symbol: i for i, symbol in enumerate(symbols)}
    for left, right in merges:
        vocabulary[left + right] = len(vocabulary)
    core = Tokenizer(models.BPE(vocab=vocabulary, merges=list(merges)))
    core.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    core.decoder = decoders.ByteLevel()
    if normalizer is not None:
        core.normalizer = normalizer
    names = {"eos_token": "</s>", "pad_token": "<pad>", **({"bos_token": "<s>"} if bos else {})}
    return PreTrainedTokenizerFast(
        tokenizer_object=core, chat_template=CHAT, model_max_length=window, **names
    )
