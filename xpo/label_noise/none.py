"""Labels as they are."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from xpo.contracts import Batch
from xpo.registry import register


@register("label_noise", "none")
@dataclass(frozen=True)
class NoNoise:
    """Every label counts as it was given."""

    applies: ClassVar[bool] = False
    unbounded: ClassVar[bool] = False

    def __call__(self, batch: Batch) -> Batch:
        return batch

    @property
    def undone(self) -> float | None:
        """True labels."""
        return 0.0

    def text(self, given: str, other: str) -> str:
        """The mass of a label, from what was given and from what the opposite label was given."""
        return given
