"""Each response told apart from the reference's own samples."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor
from torch.nn.functional import logsigmoid

from xpo.contracts import Batch, Context, masked
from xpo.objective.base import Declared, given, over_pairs
from xpo.objective.words import at
from xpo.registry import register


@register("objective", "noise_contrastive")
@dataclass(frozen=True)
class NoiseContrastive(Declared):
    """NCA: -log sigmoid(reward_i) - 1/2 log sigmoid(-reward_i) - 1/2 log sigmoid(-reward_j).

    Chen et al. 2024, arXiv 2402.05369, the pair form. The two halves pull each reward down, so that the
    preferred response's likelihood does not fall with the other's. Rewards are read on their own, no
    difference: only a linear link means something.
    """

    difference: ClassVar[bool] = False
    reads_margin: ClassVar[bool] = False

    def __call__(self, reward_BK: Tensor, batch: Batch, context: Context) -> Tensor:
        preferred_BK, dispreferred_BK = context.roles(masked(reward_BK, batch.present_BK))
        own_BK = -logsigmoid(preferred_BK) - logsigmoid(-preferred_BK) / 2
        loss_BKK = own_BK[:, :, None] - logsigmoid(-dispreferred_BK)[:, None, :] / 2
        return over_pairs(given(batch.prefer_BKK, "comparisons", self), loss_BKK)

    def text(self, preferred: str, dispreferred: str, margin: str) -> str:
        own = f"i(-log_sigmoid({preferred}) - log_sigmoid(-({preferred})) / 2)"
        return f"sum_ij(prefer * ({own} - j(log_sigmoid(-({dispreferred})) / 2)))"

    def latex(self, preferred: str, dispreferred: str, margin: str) -> str:
        up, down = at(preferred, "w"), at(dispreferred, "l")
        halves = rf"\tfrac12 \log\sigma(-{up}) - \tfrac12 \log\sigma(-{down})"
        return rf"-\log\sigma({up}) - {halves}"
