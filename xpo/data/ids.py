"""Small facts about token ids that both whole and nested responses need."""

from __future__ import annotations

from xpo.data.truncate import Ids


def one_bos(tokens: list[int], bos_id: int | None) -> list[int]:
    """The tokens with exactly one BOS in front, if there is such a token."""
    if bos_id is None:
        return tokens
    return [bos_id, *tokens[leading(tokens, bos_id) :]]


def leading(tokens: Ids, token: int) -> int:
    """How often a token stands at the beginning."""
    return next((i for i, found in enumerate(tokens) if found != token), len(tokens))


def common(prompt: Ids, whole: Ids) -> int:
    """How many tokens both begin with."""
    if whole[: len(prompt)] == prompt:
        return len(prompt)
    return next((i for i, (a, b) in enumerate(zip(prompt, whole, strict=False)) if a != b), len(whole))
