"""What margins declare, and what those that rows make have in common."""

from __future__ import annotations

from typing import ClassVar

from torch import Tensor

from xpo.contracts import Batch, masked


class Margin:
    """An offset of each ordered pair's gap, in reward units, after beta: i must be worth that much more.

    A subclass gives ``__call__`` (one number, or BKK with 0 for absent responses), ``formula`` and ``latex``.
    """

    applies: ClassVar[bool] = True
    needs: ClassVar[frozenset[str]] = frozenset()  # of contracts.FEEDBACK
    difference: ClassVar[bool] = True  # reads no reward, or their differences alone
    positive_scores: ClassVar[bool] = False  # scores of 0 and below mean nothing to it

    def __call__(self, batch: Batch, beta: float, reward_BK: Tensor) -> Tensor | float:
        raise NotImplementedError

    def formula(self, beta: float) -> str:
        """What is taken off the gap, as an expression: " - ..."."""
        raise NotImplementedError

    def latex(self, beta: float) -> str:
        """The same in LaTeX, for a pair (w, l)."""
        raise NotImplementedError


def scores(batch: Batch, margin: Margin, absent: float = 0.0) -> Tensor:
    """score_BK, ``absent`` where there is no response; ``ValueError`` if the rows carry none."""
    if batch.score_BK is None:
        raise ValueError(f"{type(margin).__name__} needs scores, and the rows of this batch carry none")
    return batch.score_BK.masked_fill(~batch.present_BK, absent)


def of_pairs(values_BKK: Tensor, batch: Batch) -> Tensor:
    """The values of pairs that are there, 0 for others."""
    present_BK = batch.present_BK
    return masked(values_BKK, present_BK[:, :, None] & present_BK[:, None, :])


def in_range(name: str, value: float) -> None:
    """Raise ``ValueError`` unless a strength is above 0 and finite."""
    if not 0 < value < float("inf"):
        raise ValueError(f"{name} must be above 0 and finite, got {value} (see margin=none)")
