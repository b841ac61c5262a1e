"""Tokenizers: one trained on the run's own texts, and what every other must have."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from xpo.errors import UserError

# Named, split and normalised as transformers' Qwen2Tokenizer does it: a folder whose model_type is qwen2 is
# read with that class whatever its files say, and must then give the same ids.
PAD, BOS, EOS = "<|endoftext|>", "<|bos|>", "<|eos|>"
_SPLIT = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*"
    r"|\s*[\r\n]+|\s+(?!\S)|\s+"
)
ROLES = ("system", "user", "assistant")
SPECIAL = (PAD, BOS, EOS, *(f"<|{role}|>" for role in ROLES))
SMALLEST = 256 + len(SPECIAL)

# A turn is its role's token and its text; what the assistant says, its EOS included, is marked as generated.
CHAT_TEMPLATE = (
    "{{ bos_token }}"
    "{% for message in messages %}"
    "{{ '<|' + message['role'] + '|>' }}"
    "{% if message['role'] == 'assistant' %}"
    "{% generation %}{{ message['content'] + eos_token }}{% endgeneration %}"
    "{% else %}{{ message['content'] }}{% endif %}"
    "{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|assistant|>' }}{% endif %}"
)

# Names that pad tokens go by in published vocabularies.
_PADS = ("<pad>", "<|pad|>", "[PAD]", "<|padding|>", "<|finetune_right_pad_id|>", "<|endoftext|>")


def train_bpe(texts: Iterable[str], vocab_size: int) -> Any:
    """A byte-level BPE ``PreTrainedTokenizerFast`` trained on ``texts``, with a chat template.

    It puts BOS before a text. The same texts give the same tokenizer. It has at most ``vocab_size`` tokens,
    fewer if the texts have no more merges. Raises ``UserError`` if ``vocab_size`` cannot hold the bytes and
    special tokens.
    """
    from tokenizers import (
        Regex,
        Tokenizer,
        decoders,
        models,
        normalizers,
        pre_tokenizers,
        processors,
        trainers,
    )
    from transformers import PreTrainedTokenizerFast

    if vocab_size < SMALLEST:
        raise UserError(
            f"model.vocab_size must be at least {SMALLEST} (bytes and special tokens), got {vocab_size}"
        )
    backend = Tokenizer(models.BPE())
    backend.normalizer = normalizers.NFC()  # type: ignore[assignment]
    backend.pre_tokenizer = pre_tokenizers.Sequence(  # type: ignore[assignment]
        [
            pre_tokenizers.Split(Regex(_SPLIT), behavior="isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    backend.decoder = decoders.ByteLevel()  # type: ignore[assignment]
    trainer = trainers.BpeTrainer(
        vocab_size=vocab_size,
        special_tokens=list(SPECIAL),
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    backend.train_from_iterator(texts, trainer=trainer)
    backend.post_processor = processors.TemplateProcessing(  # type: ignore[assignment]
        single=f"{BOS} $A", special_tokens=[(BOS, SPECIAL.index(BOS))]
    )
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=backend,
        pad_token=PAD,
        bos_token=BOS,
        eos_token=EOS,
        clean_up_tokenization_spaces=False,
    )
    tokenizer.chat_template = CHAT_TEMPLATE
    return tokenizer


def require_special(tokenizer: Any, where: str) -> None:
    """Make sure of an end of sequence and a pad token; ``UserError`` if there is no EOS.

    A missing pad, or one that is EOS, becomes another unused special token of the vocabulary. Where there
    is none EOS serves: masks come from lengths, never from pad ids, so that EOS is trained all the same.
    """
    if tokenizer.eos_token_id is None:
        raise UserError(
            f"the tokenizer of {where} has no EOS token, so responses could never end; "
            "set eos_token in its tokenizer_config.json"
        )
    if tokenizer.pad_token_id is not None and tokenizer.pad_token_id != tokenizer.eos_token_id:
        return
    vocabulary = tokenizer.get_vocab()
    named = [token for token in _PADS if token in vocabulary]
    free = [t for t in (*named, tokenizer.unk_token) if t is not None and t != tokenizer.eos_token]
    tokenizer.pad_token = free[0] if free else tokenizer.eos_token


def require_same(mine: Any, given: Any, where: str) -> None:
    """``UserError`` unless two tokenizers have the same vocabulary."""
    ours, theirs = mine.get_vocab(), given.get_vocab()
    if ours == theirs:
        return
    differing = sorted(token for token in ours.keys() | theirs.keys() if ours.get(token) != theirs.get(token))
    raise UserError(
        f"the tokenizer of {where} has {len(ours)} tokens, {len(theirs)} are needed; {len(differing)} "
        f"differ, the first is {differing[0]!r}: the two models must share one vocabulary"
    )
