"""The Plackett-Luce likelihood of a ranking."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from xpo.contracts import Batch, Context, masked
from xpo.objective.base import Declared, given, widened
from xpo.registry import register


@register("objective", "list_mle")
@dataclass(frozen=True)
class ListMLE(Declared):
    """sum_i log (e^r_i + sum_j e^r_j) - r_i, j over the responses that rank below i.

    The likelihood of Plackett and Luce that Rafailov et al. 2023, arXiv 2305.18290, appendix A.3, has for
    lists, and list-MLE of Liu et al. 2024, arXiv 2402.01878. The order is that of the comparisons, j below
    i where i is preferred over j, so ranks need no scores. Tied responses are not ranked against each
    other: the paper has none. Orders that are sorted, not drawn, have no finite optimum.
    """

    reads_margin: ClassVar[bool] = False
    reads_roles: ClassVar[bool] = False
    by_pairs: ClassVar[bool] = False
    listwise: ClassVar[bool] = True
    hard_labels: ClassVar[bool] = True
    unbiased_in_labels: ClassVar[bool] = False

    @property
    def fits(self) -> str:
        return "log_odds"

    def __call__(self, reward_BK: Tensor, batch: Batch, context: Context) -> Tensor:
        reward_BK = widened(masked(reward_BK, batch.present_BK))
        prefer_BKK = given(batch.prefer_BKK, "comparisons", self)
        below_BKK = prefer_BKK > prefer_BKK.transpose(1, 2)
        among_BKK = below_BKK | torch.eye(reward_BK.shape[1], dtype=torch.bool, device=reward_BK.device)
        left_BKK = reward_BK[:, None, :].masked_fill(~among_BKK, -torch.inf)
        return (left_BKK.logsumexp(2) - reward_BK).sum(1)

    def text(self, preferred: str, dispreferred: str, margin: str) -> str:
        below = f"sum_j((prefer > swap(prefer)) * exp(j({dispreferred})))"
        return f"sum_k(log(exp({preferred}) + {below}) - {preferred})"

    def latex(self, preferred: str, dispreferred: str, margin: str) -> str:
        own = rf"e^{{{preferred}(y_i)}}"
        below = rf"\sum_{{j: y_i \succ y_j}} e^{{{dispreferred}(y_j)}}"
        return rf"\sum_i -\log \frac{{{own}}}{{{own} + {below}}}"
