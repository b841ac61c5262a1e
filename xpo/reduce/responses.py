"""Mean over rows of each response's mean over its tokens."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from xpo.contracts import Batch, masked
from xpo.registry import register


@register("reduce", "responses")
@dataclass(frozen=True)
class Responses:
    """Every response counts alike, and within it every token: GRPO's 1/|y|.

    Shao et al. 2024, arXiv 2402.03300, equation 3. A token of a long response counts less than one of a
    short response.
    """

    per_token: ClassVar[bool] = False  # fits objectives that are sums over tokens only
    needs_tokens: ClassVar[bool] = True  # fits losses that are kept per token only
    notes: ClassVar[tuple[str, ...]] = (
        "A token of a long response counts less than one of a short response: what is bad is punished less "
        "the longer it is (reduce=fixed_length and reduce=tokens count all tokens alike).",
    )

    def __call__(self, loss_B: Tensor, batch: Batch) -> tuple[Tensor, float]:
        """This micro-batch's numerator and the whole step's denominator."""
        return (batch.weight_B * loss_B).sum(), batch.totals.rows

    def of_tokens(self, loss_BKT: Tensor, mask_BKT: Tensor) -> Tensor:
        """What each response of a loss per token contributes: the mean over its tokens; absent ones 0."""
        return masked(loss_BKT, mask_BKT).sum(-1) / mask_BKT.sum(-1).clamp(min=1)

    def of_tokens_text(self, x: str) -> str:
        return f"sum_t({x}) / length"

    def of_tokens_latex(self, x: str) -> str:
        return rf"\frac{{1}}{{|y|}} \sum_t {x}"

    def text(self) -> str:
        return "rows"
