"""Margins that the rows bring."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from xpo.contracts import Batch
from xpo.margin.base import Margin, in_range, of_pairs
from xpo.registry import register


@register("margin", "data")
@dataclass(frozen=True)
class Data(Margin):
    """scale times how much better i is than j, as the data say. Touvron et al. 2023, arXiv 2307.09288, eq. 2.

    There it is a step function of the annotators' rating (significantly better, ..., negligibly better).
    Rows of pairs bring it as ``margin``, lists as a matrix ``margins``; j is worse than i by the same
    number. In the gold world it is the exact difference of rewards. ``scale`` in reward units per unit.
    """

    needs: ClassVar[frozenset[str]] = frozenset({"margins"})

    scale: float = 1.0

    def __post_init__(self) -> None:
        in_range("scale", self.scale)

    def __call__(self, batch: Batch, beta: float, reward_BK: Tensor) -> Tensor:
        if batch.margin_BKK is None:
            raise ValueError("margin=data needs margins, and the rows of this batch carry none")
        return of_pairs(self.scale * batch.margin_BKK, batch)

    def formula(self, beta: float) -> str:
        return f" - {self.scale!r} * given_margin"

    def latex(self, beta: float) -> str:
        return rf" - {self.scale}\, m_{{wl}}"
