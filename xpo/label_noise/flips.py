"""Labels are taken for flipped at a known rate, and the flips are undone in expectation."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from xpo.contracts import Batch
from xpo.label_noise.mixed import Rate, mixed
from xpo.registry import register


@register("label_noise", "flips")
@dataclass(frozen=True)
class Flips(Rate):
    """Robust DPO: the unbiased estimate of the loss under true labels. Chowdhury et al. 2024,
    arXiv 2403.00409, eq. 13: ((1 - rate) l(gap) - rate l(-gap)) / (1 - 2 rate).

    The opposite label has negative mass, so losses that grow without end (logistic, hinge, squared) have
    no lower bound: where labels are separable, stop early, clip gradients or add a likelihood term.
    """

    applies: ClassVar[bool] = True
    unbounded: ClassVar[bool] = True

    def __call__(self, batch: Batch) -> Batch:
        scale = 1 - 2 * self.rate
        return mixed(batch, (1 - self.rate) / scale, -self.rate / scale)

    @property
    def undone(self) -> float:
        """Flips at its own rate."""
        return self.rate

    def text(self, given: str, other: str) -> str:
        rate = repr(self.rate)
        return f"((1 - {rate}) * {given} - {rate} * {other}) / (1 - 2 * {rate})"
