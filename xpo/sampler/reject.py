"""Which of several candidates are kept: by chance in proportion to e^(score / beta), or the best.

Candidates are drawn from ref. One that is kept with probability a(y) = exp((r(y) - highest) / beta),
``highest`` no less than any score, is distributed as ref(y) a(y) / sum(ref a), where ``highest`` cancels: ref
exp(r / beta) / Z, the maximiser of E[r] - beta KL(pi || ref). That is exact for a ``highest`` that is known
beforehand. The maximum of a pool depends on the pool, and keeping as many as are asked for, whatever it
holds, takes those that are less likely to be kept too: what is kept has another law, nearer to ref
(``from_pool``).
"""

from __future__ import annotations

import math

import torch
from torch import Tensor


def acceptance(score_N: Tensor, beta: float, highest: float) -> Tensor:
    """exp((score - highest) / beta): how likely each candidate is kept, whatever else there is.

    ``beta`` and ``highest`` are in units of the scores. Raises ``ValueError`` for scores that are not finite,
    or above ``highest`` (a probability above 1 would be cut, and the law another), and for a beta that is not
    above 0.
    """
    if not 0 < beta < math.inf:
        raise ValueError(f"beta must be above 0 and finite, got {beta}")
    if not bool(torch.isfinite(score_N).all()):
        raise ValueError("scores must be finite")
    above = float(score_N.max()) if score_N.numel() else -math.inf
    if above > highest:
        raise ValueError(f"highest={highest} is below a score of {above}: give the largest that there is")
    return torch.exp((score_N - highest) / beta)


def kept(score_N: Tensor, beta: float, highest: float, generator: torch.Generator) -> Tensor:
    """The indices of the candidates that are kept, in their order, each by its own chance: exact.

    Maybe none are: whoever needs a number of them draws more candidates.
    """
    chance_N = acceptance(score_N, beta, highest)
    drawn_N = torch.rand(chance_N.shape, generator=generator, dtype=torch.float64)
    return (drawn_N < chance_N).nonzero().flatten()


def from_pool(score_N: Tensor, beta: float, size: int, generator: torch.Generator) -> Tensor:
    """``size`` of the N candidates, without repetition, in the order in which they are kept.

    Liu et al. 2023, arXiv 2309.06657, algorithm 1 (statistical rejection sampling): again and again each of
    the candidates that are left is kept with probability exp((r - highest of those left) / beta), until there
    are enough. Candidates of the same text count each (the paper's code keeps them in a dictionary, each text
    once). Its law is not ref exp(r / beta) / Z: of 64 candidates 8 at beta 0.5, in the default gold world
    from the base policy, what is kept is at a total variation of 0.24, 0.08, 0.01, 0.01, 0.16, 0.01, 0.01 and
    0.07 from it, prompt by prompt (where few of 64 are kept at once, the rounds after bring worse ones).
    ``size=N`` keeps everything, beta to 0 the best, beta to infinity the first ``size``. Raises
    ``ValueError`` as ``acceptance`` does, and for a size that is not 1 to N.
    """
    if not 1 <= size <= len(score_N):
        raise ValueError(f"size must be 1 to the {len(score_N)} candidates, got {size}")
    left_M, found = torch.arange(len(score_N)), torch.zeros(0, dtype=torch.long)
    while True:
        score_M = score_N[left_M]
        taken = kept(score_M, beta, float(score_M.max()), generator)
        found = torch.cat([found, left_M[taken]])
        if len(found) >= size:
            return found[:size]
        stays_M = torch.ones(len(left_M), dtype=torch.bool)
        stays_M[taken] = False
        left_M = left_M[stays_M]


def best_of_n(score_BN: Tensor) -> Tensor:
    """The index of the highest score of each row of N candidates; of equal ones the first."""
    return score_BN.argmax(-1)
