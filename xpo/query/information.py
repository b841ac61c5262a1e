"""Those whose labels tell most about a linear reward, together with what is labelled already."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from xpo.query.base import Budgeted, Told, pairs
from xpo.registry import register


@register("query", "information")
@dataclass(frozen=True)
class Information(Budgeted):
    """One by one, what adds most to log det H: uncertain, and unlike all that is labelled or chosen.

    H = ridge I + sum over labelled pairs of p (1 - p) f f', where f is the difference of two responses' last
    hidden states, in units of the pool's root mean square, and p = P(i beats j): the Fisher information
    about the weights of a linear reward under Bradley and Terry. A pair adds log(1 + p (1 - p) f' H^-1 f), so
    that it counts for much where p is near 1/2 (uncertainty) and rewards that fit all labels so far differ
    (disagreement). Kveton et al. 2025, arXiv 2503.01076, section 4.

    Lists count the mean over their pairs. Differs from the paper: features are hidden states of responses,
    no gradients of their log-probabilities.
    """

    reads_odds: ClassVar[bool] = True
    reads_features: ClassVar[bool] = True

    ridge: float = 1.0

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0 < self.ridge < float("inf"):
            raise ValueError(f"ridge must be above 0 and finite, got {self.ridge}")

    def choose(
        self, candidates: Sequence[Told], labelled: Sequence[Told], generator: torch.Generator
    ) -> list[int]:
        order = torch.randperm(len(candidates), generator=generator).tolist()
        pool = _Pairs.of([candidates[place] for place in order])
        spread = pool.feature_PD.square().sum(1).mean().sqrt().clamp(min=1e-12)
        gains = _Gains(pool, spread, self.ridge)
        if labelled:
            gains.learn(_Pairs.of(labelled))
        chosen: list[int] = []
        for _ in range(min(self.budget, len(order))):
            best = gains.best(chosen)
            chosen.append(best)
            gains.learn(pool.of_candidate(best))
        return [order[place] for place in chosen]


@dataclass(frozen=True)
class _Pairs:
    """P pairs of N candidates: differences of features, p (1 - p) over the candidate's pairs, and whose."""

    feature_PD: Tensor
    weight_P: Tensor
    owner_P: Tensor

    @classmethod
    def of(cls, told: Sequence[Told]) -> _Pairs:
        features, weights, owners = [], [], []
        for place, one in enumerate(told):
            assert one.feature_KD is not None, "reads_features is declared"
            i_P, j_P = pairs(len(one.feature_KD))
            win_P = torch.sigmoid(one.log_odds_MKK.double()).mean(0)[i_P, j_P]
            features.append((one.feature_KD[i_P] - one.feature_KD[j_P]).double())
            weights.append(win_P * (1 - win_P) / len(i_P))
            owners.append(torch.full((len(i_P),), place))
        return cls(torch.cat(features), torch.cat(weights), torch.cat(owners))

    def of_candidate(self, place: int) -> _Pairs:
        mine_P = self.owner_P == place
        return _Pairs(self.feature_PD[mine_P], self.weight_P[mine_P], self.owner_P[mine_P])


class _Gains:
    """f' H^-1 f of every pair of the pool, kept up to date by rank-one steps.

    H^-1 = I / ridge - G' G, so that no D x D matrix is needed.
    """

    def __init__(self, pool: _Pairs, spread: Tensor, ridge: float) -> None:
        self._spread, self._ridge, self._owner_P = spread, ridge, pool.owner_P
        self._feature_PD, self._weight_P = pool.feature_PD / spread, pool.weight_P
        self._variance_P = self._feature_PD.square().sum(1) / ridge
        self._g_LD = self._feature_PD[:0]

    def learn(self, labelled: _Pairs) -> None:
        """Take pairs into H."""
        for feature_D, weight in zip(labelled.feature_PD / self._spread, labelled.weight_P, strict=True):
            solved_D = feature_D / self._ridge - self._g_LD.T @ (self._g_LD @ feature_D)
            scale = (weight / (1 + weight * (feature_D @ solved_D))).sqrt()
            g_D = scale * solved_D
            self._g_LD = torch.cat([self._g_LD, g_D[None]])
            self._variance_P = self._variance_P - (self._feature_PD @ g_D).square()

    def best(self, taken: Sequence[int]) -> int:
        """The candidate that adds most, of those that are not taken; the first of equal ones."""
        gain_P = torch.log1p(self._weight_P * self._variance_P.clamp(min=0))
        gain_N = torch.zeros(int(self._owner_P.max()) + 1, dtype=gain_P.dtype)
        gain_N.index_add_(0, self._owner_P, gain_P)
        gain_N[list(taken)] = -1.0
        return int(gain_N.argmax())
