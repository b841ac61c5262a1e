"""Mean over rows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from xpo.contracts import Batch, masked
from xpo.registry import register


@register("reduce", "rows")
@dataclass(frozen=True)
class Rows:
    """The weighted mean over the rows of the optimizer step: every prompt counts alike."""

    per_token: ClassVar[bool] = False  # fits objectives that are sums over tokens only
    needs_tokens: ClassVar[bool] = False  # fits losses that are kept per token only
    notes: ClassVar[tuple[str, ...]] = ()  # what its text does not say by itself

    def __call__(self, loss_B: Tensor, batch: Batch) -> tuple[Tensor, float]:
        """This micro-batch's numerator and the whole step's denominator."""
        return (batch.weight_B * loss_B).sum(), batch.totals.rows

    def of_tokens(self, loss_BKT: Tensor, mask_BKT: Tensor) -> Tensor:
        """What each response of a loss per token contributes: the sum over its tokens."""
        return masked(loss_BKT, mask_BKT).sum(-1)

    def of_tokens_text(self, x: str) -> str:
        return f"sum_t({x})"

    def of_tokens_latex(self, x: str) -> str:
        return rf"\sum_t {x}"

    def text(self) -> str:
        return "rows"
