"""Labels are trusted less."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from xpo.contracts import Batch
from xpo.label_noise.mixed import mixed
from xpo.registry import register


@register("label_noise", "smoothing")
@dataclass(frozen=True)
class Smoothing:
    """A share ``rate`` of each label's mass goes to the opposite label. Conservative DPO, Mitchell 2023.

    (1 - rate) l(gap) + rate l(-gap): the target is a finite gap. With a margin both orders have it.
    """

    applies: ClassVar[bool] = True
    unbounded: ClassVar[bool] = False

    rate: float = 0.1

    def __post_init__(self) -> None:
        if not 0 < self.rate < 0.5:
            raise ValueError(f"rate must be above 0 and below 0.5, got {self.rate} (see label_noise=none)")

    def __call__(self, batch: Batch) -> Batch:
        return mixed(batch, 1 - self.rate, self.rate)

    @property
    def undone(self) -> None:
        """None: it fits the smoothed labels themselves."""
        return None

    def text(self, given: str, other: str) -> str:
        return f"(1 - {self.rate!r}) * {given} + {self.rate!r} * {other}"
