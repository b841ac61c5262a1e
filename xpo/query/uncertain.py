"""Those of which the model is least, or most, sure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from xpo.query.base import Ranked, of_pairs
from xpo.registry import register


@register("query", "uncertain")
@dataclass(frozen=True)
class Uncertain(Ranked):
    """By P(i beats j) = sigmoid(reward_i - reward_j), of a policy's implicit reward or of a trained head.

    ``side=even``: the entropy of P, averaged over members and pairs: what is nearest 1/2 comes first (Lewis
    and Gale 1994, arXiv cmp-lg/9407020). ``side=sure``: |reward_i - reward_j|, what the model is surest of
    comes first, where it may be surely wrong: the preference certainty of Muldrew et al. 2024, arXiv
    2402.08114, section 3. Differs from the latter: they first keep the prompts at which the policy's own
    answers have the highest entropy, which is not done here.
    """

    side: Literal["even", "sure"] = "even"

    def worth(self, log_odds_MKK: Tensor) -> float:
        log_odds_MKK = log_odds_MKK.double()
        if self.side == "sure":
            return of_pairs(log_odds_MKK.mean(0).abs())
        win_KK = torch.sigmoid(log_odds_MKK).mean(0)
        return of_pairs(-torch.xlogy(win_KK, win_KK) - torch.xlogy(1 - win_KK, 1 - win_KK))
