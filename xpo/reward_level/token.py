"""One reward per token."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from xpo.contracts import Divergence, Length, masked
from xpo.registry import register
from xpo.reward_level.whole import Whole


@register("reward_level", "token")
@dataclass(frozen=True)
class TokenLevel(Whole):
    """pool(link(log-ratio)): per-token rewards, summed or averaged.

    Rafailov et al. 2024, arXiv 2404.12358, section 4, for the reverse KL: there the loss is that of whole
    responses, and the rewards are the advantages of a soft Q function. For other divergences this is an
    expected sum of per-state divergences. A run leaves the held-out responses' token rewards behind.
    """

    gives_reward: ClassVar[bool] = True
    per_token: ClassVar[bool] = True  # every token has a reward of its own, which a run leaves behind

    def apply(
        self, divergence: Divergence, length: Length, log_ratio_BKT: Tensor, mask_BKT: Tensor
    ) -> Tensor:
        """The linked log-ratio of each response, BK."""
        return length.pool(divergence.link(masked(log_ratio_BKT, mask_BKT)), mask_BKT)

    def formula(self, link: Callable[[str], str], pool: Callable[[str], str], x: str) -> str:
        """The same for expressions, as text or as LaTeX."""
        return pool(f"({link(x)})")
