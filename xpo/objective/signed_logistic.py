"""Comparisons and signs: which of two responses is better, and whether each is good."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor
from torch.nn.functional import logsigmoid

from xpo.contracts import Batch, Context, masked
from xpo.objective.base import Declared, gaps, given, over_pairs
from xpo.objective.words import at, gap_latex, gap_text
from xpo.registry import register


@register("objective", "signed_logistic")
@dataclass(frozen=True)
class SignedLogistic(Declared):
    """-log sigmoid(gap) + sign_weight (mean of -log sigmoid(+-reward) over the responses).

    The cost model of Safe RLHF: Dai et al. 2023, arXiv 2310.12773 (the loss of the cost model),
    whose cost is minus the reward here: what is preferred is safer, what is good is safe, and 0 is between
    safe and unsafe. ``sign_weight`` 2 is the paper's sum over a pair's two responses, as labels of a row sum
    to 1. Differs from the paper: lists and soft labels are means over their pairs and responses.
    """

    needs: ClassVar[frozenset[str]] = frozenset({"comparisons", "labels"})
    difference: ClassVar[bool] = False
    by_pairs: ClassVar[bool] = False  # a response has one sign, in however many pairs it stands

    sign_weight: float = 2.0

    def __post_init__(self) -> None:
        if not 0 < self.sign_weight < float("inf"):
            raise ValueError(
                f"sign_weight must be above 0 and finite, got {self.sign_weight} (see objective=logistic)"
            )

    def __call__(self, reward_BK: Tensor, batch: Batch, context: Context) -> Tensor:
        preferred_BK, dispreferred_BK = context.roles(masked(reward_BK, batch.present_BK))
        apart_BKK = -logsigmoid(gaps(preferred_BK, dispreferred_BK, batch, context))
        good_BK, bad_BK = given(batch.good_BK, "labels", self), given(batch.bad_BK, "labels", self)
        signed_BK = -good_BK * logsigmoid(preferred_BK) - bad_BK * logsigmoid(-dispreferred_BK)
        compared_B = over_pairs(given(batch.prefer_BKK, "comparisons", self), apart_BKK)
        return compared_B + self.sign_weight * signed_BK.sum(1)

    def metrics(
        self, reward_BK: Tensor, batch: Batch, context: Context
    ) -> Mapping[str, tuple[Tensor, Tensor]]:
        """The share of labels on the right side of 0."""
        good_BK, bad_BK = given(batch.good_BK, "labels", self), given(batch.bad_BK, "labels", self)
        weight_B1 = batch.weight_B[:, None]
        right_BK = good_BK * (reward_BK > 0) + bad_BK * (reward_BK <= 0)
        return {"sign_accuracy": ((weight_B1 * right_BK).sum(), (weight_B1 * (good_BK + bad_BK)).sum())}

    def text(self, preferred: str, dispreferred: str, margin: str) -> str:
        apart = f"sum_ij(prefer * -log_sigmoid{gap_text(preferred, dispreferred, margin)})"
        signed = f"sum_k(good * -log_sigmoid({preferred}) + bad * -log_sigmoid(-({dispreferred})))"
        return f"{apart} + {self.sign_weight!r} * {signed}"

    def latex(self, preferred: str, dispreferred: str, margin: str) -> str:
        apart = rf"-\log\sigma{gap_latex(preferred, dispreferred, margin)}"
        good = rf"[y_k \text{{ good}}] \log\sigma({at(preferred, 'k')})"
        bad = rf"[y_k \text{{ bad}}] \log\sigma(-{at(dispreferred, 'k')})"
        return rf"{apart} - {self.sign_weight} \frac{{1}}{{K}} \sum_k \left({good} + {bad}\right)"
