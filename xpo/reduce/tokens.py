"""Mean over tokens."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from xpo.contracts import Batch, masked
from xpo.registry import register


@register("reduce", "tokens")
@dataclass(frozen=True)
class Tokens:
    """The sum over tokens divided by the tokens of the optimizer step: every token counts alike."""

    per_token: ClassVar[bool] = True  # fits objectives that are sums over tokens only
    needs_tokens: ClassVar[bool] = False  # fits losses that are kept per token only
    notes: ClassVar[tuple[str, ...]] = ()  # what its text does not say by itself

    def __call__(self, loss_B: Tensor, batch: Batch) -> tuple[Tensor, float]:
        """This micro-batch's numerator and the whole step's denominator."""
        return (batch.weight_B * loss_B).sum(), batch.totals.tokens

    def of_tokens(self, loss_BKT: Tensor, mask_BKT: Tensor) -> Tensor:
        """What each response of a loss per token contributes: the sum over its tokens."""
        return masked(loss_BKT, mask_BKT).sum(-1)

    def of_tokens_text(self, x: str) -> str:
        return f"sum_t({x})"

    def of_tokens_latex(self, x: str) -> str:
        return rf"\frac{{1}}{{\mathbb{{E}} |y|}} \sum_t {x}"

    def text(self) -> str:
        return "tokens"
