"""The reference's own samples pushed down: optimism about what they leave out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from xpo.contracts import Batch, masked
from xpo.registry import register
from xpo.scoring.token_statistics import TokenStatistic


@register("anchor", "optimism")
@dataclass(frozen=True)
class Optimism:
    """weight log pi(y'), y' the other player's samples of sampling=duel. Xie et al. 2024, arXiv 2405.21046.

    Algorithm 1 (XPO), eq. 5: minimised beside DPO's loss it moves mass from what the reference says to what
    it does not, whoever wins. A sum over tokens, in nats; a mean over a row's rivals, then over rows. Raises
    ``ValueError`` for rows without rivals.
    """

    applies: ClassVar[bool] = True
    needs: ClassVar[frozenset[str]] = frozenset()
    needs_rivals: ClassVar[bool] = True  # samples of another player
    needs_reference: ClassVar[bool] = False
    reads_reward: ClassVar[bool] = False  # what the objective eats
    reads_tokens: ClassVar[bool] = False  # next-token distributions
    difference: ClassVar[bool] = True  # unchanged when c(x) is added to all rewards of a prompt
    token_statistics: ClassVar[tuple[TokenStatistic, ...]] = ()

    weight: float = 1.0e-5

    def __post_init__(self) -> None:
        if not 0 < self.weight < float("inf"):
            raise ValueError(f"weight must be above 0 and finite, got {self.weight} (see anchor=none)")

    def __call__(self, batch: Batch, reward_BK: Tensor, token: Mapping[str, Tensor]) -> tuple[Tensor, float]:
        """Numerator of this micro-batch and denominator of the whole step, unweighted."""
        if batch.rival_BK is None:
            raise ValueError("anchor=optimism needs samples of another player, and the rows carry none")
        logp_BK = masked(token["logp"], batch.mask_BKT).sum(-1)
        said_B = (batch.rival_BK * logp_BK).sum(1) / batch.rival_BK.sum(1).clamp(min=1)
        return (batch.weight_B * said_B).sum(), batch.totals.rows

    def term_text(self) -> tuple[str, str]:
        """A row's term as an expression, and what its sum over the step is divided by."""
        return "sum_k(opponent * sum_t(logp)) / maximum(1, sum_k(opponent))", "rows"

    def term_latex(self) -> str:
        return rf"{self.weight}\, \mathbb{{E}}_{{y' \sim \pi_\mathrm{{ref}}}}\left[\log\pi_\theta(y')\right]"
