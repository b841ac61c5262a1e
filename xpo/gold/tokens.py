"""The gold world's vocabulary and its Hugging Face tokenizer: one token per word."""

from __future__ import annotations

from typing import Any

from xpo.gold import constants

PAD_ID, BOS_ID, EOS_ID = 0, 1, 2
FIRST_SYMBOL = 3


def vocabulary(symbols: int) -> dict[str, int]:
    """Word -> id: pad, bos, eos, the symbols, then the words that prompts are made of."""
    words = (
        constants.PAD,
        constants.BOS,
        constants.EOS,
        *constants.ALPHABET[:symbols],
        *constants.ADJECTIVES,
        *constants.NOUNS,
    )
    return {word: i for i, word in enumerate(words)}


def build_tokenizer(symbols: int) -> Any:
    """A ``PreTrainedTokenizerFast``: BOS before a text; a word that is not the world's is an error."""
    from tokenizers import Tokenizer, models, pre_tokenizers, processors
    from transformers import PreTrainedTokenizerFast

    backend = Tokenizer(models.WordLevel(vocabulary(symbols)))
    backend.pre_tokenizer = pre_tokenizers.WhitespaceSplit()  # type: ignore[assignment]
    backend.post_processor = processors.TemplateProcessing(  # type: ignore[assignment]
        single=f"{constants.BOS} $A", special_tokens=[(constants.BOS, BOS_ID)]
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=backend, pad_token=constants.PAD, bos_token=constants.BOS, eos_token=constants.EOS
    )
