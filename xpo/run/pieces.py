"""The text that each token of a response stands for."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

_LEAD = 8
"""Prompt tokens that are decoded before a response: some tokenizers drop a text's first space."""
_UNFINISHED = "\ufffd"


def pieces(tokenizer: Any, prompt: Sequence[int], response: Sequence[int]) -> list[str]:
    """One string per token; joined they are the response as it is read after its prompt.

    A token that ends within a character (bytes of an emoji) has "", the one that completes the character
    has all of it. Special tokens are shown. Only a few tokens at a time are decoded.
    """

    def decode(part: Sequence[int]) -> str:
        return tokenizer.decode(part, skip_special_tokens=False, clean_up_tokenization_spaces=False)

    ids = [*prompt[-_LEAD:], *response]
    read = len(ids) - len(response)
    start, found = 0, []
    for end in range(read + 1, len(ids) + 1):
        before, text = decode(ids[start:read]), decode(ids[start:end])
        if text.endswith(_UNFINISHED) and end < len(ids):
            found.append("")
            continue
        found.append(text[len(before) :])
        start, read = read, end
    return found
