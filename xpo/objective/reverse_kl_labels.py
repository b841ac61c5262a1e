"""How far the policy's own probability of a comparison is from the label's, the policy's first."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor
from torch.nn.functional import logsigmoid

from xpo.contracts import Batch, Context
from xpo.objective.base import Declared, gaps, given, over_pairs, widened
from xpo.objective.words import gap_latex, gap_text
from xpo.registry import register


@register("objective", "reverse_kl_labels")
@dataclass(frozen=True)
class ReverseKLLabels(Declared):
    """EXO: KL(Bernoulli(sigmoid(gap)) || Bernoulli(q)). Ji et al. 2024, arXiv 2402.00856 (EXO-pref).

    q is the share of a compared pair's mass that says "i over j"; the logistic loss is the same divergence
    the other way round. The gradient goes through the outer probability too. A hard label (q = 0) is
    infinitely far: ``ValueError``. Lists count all their pairs; the paper's softmax over K is K = 2 here.
    """

    soft_labels: ClassVar[bool] = True
    unbiased_in_labels: ClassVar[bool] = False

    @property
    def fits(self) -> str:
        return "log_odds"

    def __call__(self, reward_BK: Tensor, batch: Batch, context: Context) -> Tensor:
        prefer_BKK = given(batch.prefer_BKK, "comparisons", self)
        gap_BKK = widened(gaps(*context.roles(reward_BK), batch, context))
        said_BKK = self._log_share(widened(prefer_BKK))
        above_BKK = torch.sigmoid(gap_BKK) * (logsigmoid(gap_BKK) - said_BKK)
        below_BKK = torch.sigmoid(-gap_BKK) * (logsigmoid(-gap_BKK) - said_BKK.transpose(1, 2))
        return over_pairs(prefer_BKK, above_BKK + below_BKK)

    def _log_share(self, prefer_BKK: Tensor) -> Tensor:
        """log q of compared pairs, 0 elsewhere."""
        mass_BKK = prefer_BKK + prefer_BKK.transpose(1, 2)
        if bool(((prefer_BKK <= 0) & (mass_BKK > 0)).any()):
            raise ValueError(
                "a comparison has a hard label, and the reverse KL to it is infinite: soften labels with "
                "label_noise=smoothing, or take them from scores with reward=explicit (a larger reward.scale)"
            )
        return torch.where(mass_BKK > 0, prefer_BKK.log() - mass_BKK.log(), 0.0)

    def text(self, preferred: str, dispreferred: str, margin: str) -> str:
        gap = gap_text(preferred, dispreferred, margin)
        above = f"sigmoid{gap} * (log_sigmoid{gap} - log_share(prefer))"
        below = f"sigmoid(-{gap}) * (log_sigmoid(-{gap}) - swap(log_share(prefer)))"
        return f"sum_ij(prefer * ({above} + {below}))"

    def latex(self, preferred: str, dispreferred: str, margin: str) -> str:
        gap = gap_latex(preferred, dispreferred, margin)
        return rf"D_\mathrm{{KL}}\left(\mathrm{{Ber}}\,\sigma{gap} \,\|\, \mathrm{{Ber}}(q_{{wl}})\right)"
