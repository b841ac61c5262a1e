"""Those on which the members of a reward model differ."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from xpo.query.base import Ranked, of_pairs
from xpo.registry import register


@register("query", "disagreement")
@dataclass(frozen=True)
class Disagreement(Ranked):
    """The variance over members of P(i beats j), averaged over pairs.

    Christiano et al. 2017, arXiv 1706.03741, section 2.2.4; for language reward models Gleave and Irving
    2022, arXiv 2203.07472, who found no gain over a random choice with members that share a trunk.
    """

    several: ClassVar[bool] = True

    def worth(self, log_odds_MKK: Tensor) -> float:
        return of_pairs(torch.sigmoid(log_odds_MKK.double()).var(0, correction=0))
