"""Sampling between a reference and its policy, or beyond the policy, in ``generate``."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from xpo.decode.next_token import NextToken


class Guided:
    """A logits processor: log ref + weight (log policy - log ref), token by token, renormalised.

    ``policy.generate(..., logits_processor=[Guided(reference, weight)])``. 0 samples from the reference, 1
    from the policy, in between from a policy of larger beta (exactly so for whole responses only where each
    token's normaliser is the same), above 1 from one of smaller beta. Liu et al. 2024, arXiv 2402.02992.

    What stands before it in the list (a restriction, not a temperature) acts on both: a token that is ruled
    out stays so. ``pad_id``: what fills prompts up at the left; None if nothing does.
    """

    def __init__(self, reference: Any, weight: float, pad_id: int | None = None) -> None:
        if not -float("inf") < weight < float("inf"):
            raise ValueError(f"weight must be finite, got {weight}")
        self._next, self._weight = NextToken(reference, pad_id), weight

    def __call__(self, ids_BS: Tensor, logits_BV: Tensor) -> Tensor:
        ref_logits_BV = self._next(ids_BS).to(logits_BV.dtype)
        return mixture(logits_BV, ref_logits_BV, self._weight)


def mixture(logits_BV: Tensor, ref_logits_BV: Tensor, weight: float) -> Tensor:
    """log-probabilities of ref^(1 - weight) policy^weight over the tokens that the policy's logits allow."""
    if logits_BV.shape != ref_logits_BV.shape:
        raise ValueError(
            f"the policy has {logits_BV.shape[-1]} tokens and the reference {ref_logits_BV.shape[-1]}: "
            "guidance needs one vocabulary"
        )
    possible_BV = logits_BV > -torch.inf
    logp_BV = logits_BV.log_softmax(-1)
    ref_logp_BV = ref_logits_BV.masked_fill(~possible_BV, -torch.inf).log_softmax(-1)
    gap_BV = torch.where(possible_BV, logp_BV - ref_logp_BV, 0.0)
    return (ref_logp_BV + weight * gap_BV).log_softmax(-1)
