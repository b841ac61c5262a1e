"""What a model makes of prompts alone: one vector each."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from xpo.scoring.parts import accepts, decoder, evaluating

_TOKENS = 8192  # in one forward pass, padding included


@torch.no_grad()
def prompt_embeddings(model: Any, prompts: Sequence[Sequence[int]]) -> Tensor:
    """The mean last hidden state over each prompt's tokens, [N, D] in float64 on the CPU."""
    inner = decoder(model)
    distinct = sorted({tuple(prompt) for prompt in prompts}, key=lambda prompt: (len(prompt), prompt))
    found: dict[tuple[int, ...], Tensor] = {}
    with evaluating(model):
        while distinct:
            group = distinct[-max(1, _TOKENS // len(distinct[-1])) :]
            del distinct[-len(group) :]
            found |= zip(group, _means(inner, group), strict=True)
    return torch.stack([found[tuple(prompt)] for prompt in prompts])


def _means(inner: Any, group: Sequence[Sequence[int]]) -> Tensor:
    """One padded forward pass."""
    device = next(inner.parameters()).device
    length_N1 = torch.tensor([len(prompt) for prompt in group], device=device)[:, None]
    ids_NS = torch.zeros(len(group), int(length_N1.max()), dtype=torch.long, device=device)
    for row_S, prompt in zip(ids_NS, group, strict=True):
        row_S[: len(prompt)] = torch.tensor(prompt, device=device)
    mask_NS = torch.arange(ids_NS.shape[1], device=device) < length_N1
    extra: dict[str, Any] = {"use_cache": False} if accepts(inner, "use_cache") else {}
    hidden_NSD = inner(input_ids=ids_NS, attention_mask=mask_NS.long(), **extra).last_hidden_state.double()
    return ((hidden_NSD * mask_NS[:, :, None]).sum(1) / length_N1).cpu()
