"""Mean over rows of each response's sum over its tokens divided by a constant."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from xpo.contracts import Batch, masked
from xpo.registry import register


@register("reduce", "fixed_length")
@dataclass(frozen=True)
class FixedLength:
    """Every token counts 1 / ``length``, whatever its response's own length: Dr. GRPO.

    Liu et al. 2025, arXiv 2503.20783, section 3.2; ``length`` is the most tokens that a response may have. It
    scales the gradient, and so the learning rate, and nothing else.
    """

    per_token: ClassVar[bool] = False  # fits objectives that are sums over tokens only
    needs_tokens: ClassVar[bool] = True  # fits losses that are kept per token only
    notes: ClassVar[tuple[str, ...]] = ()  # what its text does not say by itself

    length: int = 256

    def __post_init__(self) -> None:
        if self.length < 1:
            raise ValueError(f"length must be at least 1, got {self.length}")

    def __call__(self, loss_B: Tensor, batch: Batch) -> tuple[Tensor, float]:
        """This micro-batch's numerator and the whole step's denominator."""
        return (batch.weight_B * loss_B).sum(), batch.totals.rows

    def of_tokens(self, loss_BKT: Tensor, mask_BKT: Tensor) -> Tensor:
        """What each response of a loss per token contributes: the sum over its tokens / ``length``."""
        return masked(loss_BKT, mask_BKT).sum(-1) / self.length

    def of_tokens_text(self, x: str) -> str:
        return f"sum_t({x}) / {self.length!r}"

    def of_tokens_latex(self, x: str) -> str:
        return rf"\frac{{1}}{{{self.length}}} \sum_t {x}"

    def text(self) -> str:
        return "rows"
