"""The best of n samples by one score, judged by another: what is won, and how far from the samples it is.

The larger n is, the more the reward model that ranks is trusted; what another one, or the truth, says of the
same choice shows where it should not be. M: samples, or all responses of an enumerable world.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor


def estimate(n: int, score_M: Tensor, value_M: Tensor) -> float:
    """The expected value of the best of n by score, unbiased, from M >= n samples that were scored once.

    Nakano et al. 2021, arXiv 2112.09332: the mean over all subsets of n; the sample of rank i (from 1, by
    rising score) is the best of C(i - 1, n - 1) of the C(M, n). Ties are broken by chance, in expectation.
    Raises ``ValueError`` unless 1 <= n <= M.
    """
    size = len(score_M)
    if not 1 <= n <= size:
        raise ValueError(f"n must be from 1 to the number of samples, {size}, got {n}")
    level_M, mass_L = _levels(score_M, torch.ones(size, dtype=torch.float64))
    mean_L = _sums(level_M, value_M.double(), len(mass_L)) / mass_L
    ranked = mean_L.repeat_interleave(mass_L.long()).tolist()
    subsets = math.comb(size, n)
    return math.fsum(math.comb(i, n - 1) / subsets * ranked[i] for i in range(n - 1, size))


def best_logp(n: int, score_M: Tensor, logp_M: Tensor) -> Tensor:
    """log P(y is the best of n) of every response, exactly; ``logp_M`` is of one draw. Ties by chance."""
    p_M = logp_M.double().exp()
    level_M, mass_L = _levels(score_M, p_M)
    top_L = mass_L.cumsum(0)
    below_L = torch.cat([top_L.new_zeros(1), top_L[:-1]])
    share_L = (top_L**n - below_L**n) / mass_L
    return logp_M.double() + share_L.log()[level_M]


def kl(n: int) -> float:
    """KL(best of n || one draw) where no two scores are equal, in nats: log n - (n - 1) / n.

    Stiennon et al. 2020, arXiv 2009.01325. Of an enumerable world's responses, which are drawn twice, it is
    an upper bound (Beirami et al. 2024, arXiv 2401.01879); ``exact_kl`` is the number.
    """
    return math.log(n) - (n - 1) / n


def exact_kl(n: int, score_M: Tensor, logp_M: Tensor) -> float:
    """KL(best of n || one draw) over all responses, in nats."""
    best_M = best_logp(n, score_M, logp_M)
    return float((best_M.exp() * (best_M - logp_M.double())).nansum())


def exact(n: int, score_M: Tensor, value_M: Tensor, logp_M: Tensor) -> float:
    """The expected value of the best of n by score, over all responses."""
    return float((best_logp(n, score_M, logp_M).exp() * value_M.double()).sum())


def _levels(score_M: Tensor, mass_M: Tensor) -> tuple[Tensor, Tensor]:
    """Which of the distinct scores, rising, each one is, and the mass at each."""
    found, level_M = score_M.unique(sorted=True, return_inverse=True)
    return level_M, _sums(level_M, mass_M, len(found))


def _sums(level_M: Tensor, values_M: Tensor, count: int) -> Tensor:
    return torch.zeros(count, dtype=torch.float64).index_add_(0, level_M, values_M)
