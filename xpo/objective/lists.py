"""What losses of whole lists share."""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor

from xpo.contracts import Batch, Context, masked
from xpo.objective.base import Declared, PairLoss, given, widened


class ScoredList(Declared):
    """A loss of the rewards of a list and of its scores, which reward=explicit divides by its ``scale``."""

    needs: ClassVar[frozenset[str]] = frozenset({"scores"})
    reads_margin: ClassVar[bool] = False
    reads_roles: ClassVar[bool] = False
    explicit_reward: ClassVar[bool] = True
    listwise: ClassVar[bool] = True

    def read(self, reward_BK: Tensor, batch: Batch) -> tuple[Tensor, Tensor]:
        """reward_BK and score_BK, zeros where there is no response, at least float32."""
        reward_BK = widened(masked(reward_BK, batch.present_BK))
        score_BK = masked(given(batch.score_BK, "scores", self), batch.present_BK)
        return reward_BK, score_BK.to(reward_BK.dtype)


class SumOverPairs(PairLoss):
    """A pair loss summed over the pairs of a list that do not tie: a longer list counts more.

    Put it before the loss whose mean over the pairs it takes.
    """

    by_pairs: ClassVar[bool] = False
    listwise: ClassVar[bool] = True

    def __call__(self, reward_BK: Tensor, batch: Batch, context: Context) -> Tensor:
        pairs_B = compared(given(batch.prefer_BKK, "comparisons", self))
        return pairs_B * super().__call__(reward_BK, batch, context)

    def text(self, preferred: str, dispreferred: str, margin: str) -> str:
        return f"{COMPARED} * {super().text(preferred, dispreferred, margin)}"

    def latex(self, preferred: str, dispreferred: str, margin: str) -> str:
        return rf"\sum_{{(w, l)}} {super().latex(preferred, dispreferred, margin)}"


def log_softmax(values_BK: Tensor, present_BK: Tensor) -> Tensor:
    """log of each response's share of its list's e^value; 0 where there is no response."""
    return masked(values_BK.masked_fill(~present_BK, -torch.inf).log_softmax(1), present_BK)


def softmax(values_BK: Tensor, present_BK: Tensor) -> Tensor:
    """Each response's share of its list's e^value; 0 where there is no response."""
    return masked(log_softmax(values_BK, present_BK).exp(), present_BK)


def compared(prefer_BKK: Tensor) -> Tensor:
    """compared_B: how many pairs of a list have a comparison, ties left out."""
    return ((prefer_BKK + prefer_BKK.transpose(1, 2)) > 0).sum((1, 2)).to(prefer_BKK.dtype) / 2


COMPARED = "sum_ij(prefer + swap(prefer) > 0) / 2"
"""``compared`` as an expression."""
