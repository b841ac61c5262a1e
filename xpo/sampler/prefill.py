"""A prompt's keys and values, computed once for all of its responses."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from xpo.scoring.parts import accepts, decoder, unwrap


def why_not_shared(model: Any) -> str:
    """Why copies of a prompt's cache cannot be gone on from; empty if they can."""
    from transformers.cache_utils import DynamicCache, DynamicLayer

    inner = decoder(model)
    if inner._is_stateful:
        return "it keeps a recurrent state"
    if not accepts(inner, "past_key_values"):
        return "its forward takes no past_key_values"
    layers = DynamicCache(config=unwrap(model).config).layers
    other = sorted({type(layer).__name__ for layer in layers if not isinstance(layer, DynamicLayer)})
    return f"its cache has layers of type {', '.join(other)}" if other else ""


@torch.no_grad()
def prefilled(model: Any, ids_BP: Tensor, mask_BP: Tensor, copies: int, room: int) -> Any:
    """The cache of left-padded prompts but for their last tokens, each prompt ``copies`` times in a row.

    The last token is what ``generate`` begins with. None if prompts have no other. ``room``: how many tokens
    will follow.
    """
    from xpo.sampler.room import roomy_cache

    if ids_BP.shape[1] < 2:
        return None
    inner = decoder(model)
    cache = roomy_cache(unwrap(model).config, room)
    more = {"position_ids": positions(mask_BP)[:, :-1]} if accepts(inner, "position_ids") else {}
    inner(
        input_ids=ids_BP[:, :-1],
        attention_mask=mask_BP[:, :-1],
        past_key_values=cache,
        use_cache=True,
        **more,
    )
    if copies > 1:
        cache.batch_repeat_interleave(copies)
    return cache


def positions(mask_BS: Tensor) -> Tensor:
    """The position of every token among those that are read."""
    return (mask_BS.cumsum(1) - 1).clamp(min=0)
