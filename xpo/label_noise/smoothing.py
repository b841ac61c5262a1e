"""Labels are trusted less."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from xpo.contracts import Batch
from xpo.label_noise.mixed import Rate, mixed
from xpo.registry import register


@register("label_noise", "smoothing")
@dataclass(frozen=True)
class Smoothing(Rate):
    """A share ``rate`` of each label's mass goes to the opposite label. Conservative DPO, Mitchell 2023.

    (1 - rate) l(gap) + rate l(-gap): the target is a finite gap. With a margin both orders have it.
    """

    applies: ClassVar[bool] = True
    unbounded: ClassVar[bool] = False

    def __call__(self, batch: Batch) -> Batch:
        return mixed(batch, 1 - self.rate, self.rate)

    @property
    def undone(self) -> None:
        """None: it fits the smoothed labels themselves."""
        return None

    def text(self, given: str, other: str) -> str:
        return f"(1 - {self.rate!r}) * {given} + {self.rate!r} * {other}"
