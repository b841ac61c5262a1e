"""Linear heads on hidden states: what a response is worth, and how surely it beats another."""

from __future__ import annotations

import dataclasses
from abc import abstractmethod
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from xpo.contracts import masked
from xpo.movable import Movable


@dataclass(frozen=True)
class Opinion(Movable):
    """What a head says of a batch's responses: of single ones, and of pairs where it reads both."""

    reward_BK: Tensor
    log_odds_BKK: Tensor | None = None  # that i beats j, antisymmetric; None: a difference of rewards

    def detach(self) -> Opinion:
        return dataclasses.replace(
            self,
            reward_BK=self.reward_BK.detach(),
            log_odds_BKK=None if self.log_odds_BKK is None else self.log_odds_BKK.detach(),
        )


class RewardHead(nn.Module):
    """``score``: a linear layer without bias, as transformers' sequence classifiers have it.

    Its weights begin as normal draws of standard deviation 1 / sqrt(D + 1) (Stiennon et al. 2020, arXiv
    2009.01325, appendix C). ``forward`` gives one opinion for each of ``members`` that are trained alike.
    """

    members: int

    def __init__(self, width: int, outputs: int, seed: int, dtype: torch.dtype) -> None:
        super().__init__()
        score: Any = nn.utils.skip_init(nn.Linear, width, outputs, bias=False, dtype=dtype)
        self.score = score
        random = torch.Generator().manual_seed(seed)
        with torch.no_grad():
            drawn = torch.randn(outputs, width, generator=random, dtype=torch.float64)
            self.score.weight.copy_(drawn / (width + 1) ** 0.5)

    def features(self, hidden: Tensor) -> Tensor:
        """... x D -> ... x F, at least float32."""
        return self.score(hidden.to(self.score.weight.dtype))

    @abstractmethod
    def forward(self, feature_BKF: Tensor, present_BK: Tensor) -> tuple[Opinion, ...]: ...


def _of_pairs(log_odds_BKK: Tensor, present_BK: Tensor) -> tuple[Opinion, ...]:
    """Of responses that are there; a reward is the mean log-odds against the prompt's others."""
    both_BKK = present_BK[:, :, None] & present_BK[:, None, :]
    log_odds_BKK = masked(log_odds_BKK, both_BKK)
    others_B1 = (present_BK.sum(1, keepdim=True) - 1).clamp(min=1)
    return (Opinion(log_odds_BKK.sum(2) / others_B1, log_odds_BKK),)


class ScoreHead(RewardHead):
    """r(x, y) of each member. Bradley and Terry 1952; Ouyang et al. 2022, arXiv 2203.02155, section 3.5."""

    def __init__(self, width: int, members: int, seed: int, dtype: torch.dtype = torch.float32) -> None:
        super().__init__(width, members, seed, dtype)
        self.members = members

    def forward(self, feature_BKF: Tensor, present_BK: Tensor) -> tuple[Opinion, ...]:
        return tuple(Opinion(masked(reward_BK, present_BK)) for reward_BK in feature_BKF.unbind(-1))


class PreferenceHead(RewardHead):
    """log-odds(i beats j) = r_i - r_j + v_i' R v_j, where R turns v by a right angle in each plane.

    Zhang et al. 2024, arXiv 2410.02197, section 4. R is antisymmetric, so that the log-odds of i over j and
    of j over i cancel exactly, whatever the order in which two are read; and it is no difference, so that i
    may beat j, j beat k and k beat i. Differs from the paper: R's scales are absorbed by v, and a plain
    reward stands beside it. ``reward_BK`` is the mean log-odds against the prompt's other responses.
    """

    members = 1

    def __init__(self, width: int, planes: int, seed: int, dtype: torch.dtype = torch.float32) -> None:
        super().__init__(width, 1 + 2 * planes, seed, dtype)

    def forward(self, feature_BKF: Tensor, present_BK: Tensor) -> tuple[Opinion, ...]:
        feature_BKF = masked(feature_BKF, present_BK[..., None])
        reward_BK, v_BKF = feature_BKF[..., 0], feature_BKF[..., 1:]
        a_BKF, b_BKF = v_BKF.chunk(2, dim=-1)
        cross_BKK = a_BKF @ b_BKF.mT  # one product: two would add up in unlike orders, and not cancel
        cycle_BKK = cross_BKK - cross_BKK.mT
        log_odds_BKK = reward_BK[:, :, None] - reward_BK[:, None, :] + cycle_BKK
        return _of_pairs(log_odds_BKK, present_BK)


class JointHead(RewardHead):
    """log-odds(i beats j) = (s_ij - s_ji) / 2, where s_ij is read at the end of i and then j.

    What a head likes because of its place is in both orders alike, and cancels exactly. No score of a single
    response has to exist.
    """

    members = 1

    def __init__(self, width: int, seed: int, dtype: torch.dtype = torch.float32) -> None:
        super().__init__(width, 1, seed, dtype)

    def forward(self, feature_BKKF: Tensor, present_BK: Tensor) -> tuple[Opinion, ...]:
        score_BKK = feature_BKKF.squeeze(-1)
        return _of_pairs((score_BKK - score_BKK.mT) / 2, present_BK)
