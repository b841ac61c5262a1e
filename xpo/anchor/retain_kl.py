"""The divergence from the reference on responses that are to stay."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from xpo.contracts import Batch, masked
from xpo.registry import register
from xpo.scoring.token_statistics import ReferenceKL, TokenStatistic


@register("anchor", "retain_kl")
@dataclass(frozen=True)
class RetainKL:
    """weight KL(ref || policy) of the next token, over the whole vocabulary, on demonstrated responses.

    Zhang et al. 2024, arXiv 2404.05868, section 2 (their retain term KL). A mean over the demonstrated
    tokens of the optimizer step; with labels the good responses are the demonstrated ones.
    """

    applies: ClassVar[bool] = True
    needs: ClassVar[frozenset[str]] = frozenset({"demonstrations"})
    needs_rivals: ClassVar[bool] = False  # samples of another player
    needs_reference: ClassVar[bool] = True
    reads_reward: ClassVar[bool] = False  # what the objective eats
    reads_tokens: ClassVar[bool] = True  # next-token distributions
    difference: ClassVar[bool] = True  # unchanged when c(x) is added to all rewards of a prompt
    token_statistics: ClassVar[tuple[TokenStatistic, ...]] = (ReferenceKL(),)

    weight: float = 1.0

    def __post_init__(self) -> None:
        if not 0 < self.weight < float("inf"):
            raise ValueError(f"weight must be above 0 and finite, got {self.weight} (see anchor=none)")

    def __call__(self, batch: Batch, reward_BK: Tensor, token: Mapping[str, Tensor]) -> tuple[Tensor, float]:
        """Numerator of this micro-batch and denominator of the whole step, unweighted."""
        if batch.demo_BK is None:
            raise ValueError("anchor=retain_kl needs demonstrations, and the rows of this batch carry none")
        kl_BK = masked(token[ReferenceKL.name], batch.mask_BKT).sum(-1)
        return (batch.weight_B[:, None] * batch.demo_BK * kl_BK).sum(), max(batch.totals.tokens, 1.0)

    def term_text(self) -> tuple[str, str]:
        """A row's term as an expression, and what its sum over the step is divided by."""
        return f"sum_k(demo * sum_t({ReferenceKL.name}))", "tokens"

    def term_latex(self) -> str:
        kl = r"D_\mathrm{KL}\left(\pi_\mathrm{ref} \,\|\, \pi_\theta\right)(y^*_{<t})"
        return rf"{self.weight} \frac{{1}}{{\sum_b |y^*|}} \sum_b \sum_t {kl}"
