"""One reward per response."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from xpo.contracts import Divergence, Length
from xpo.registry import register
from xpo.reward_level.whole import Whole


@register("reward_level", "response")
@dataclass(frozen=True)
class ResponseLevel(Whole):
    """link(pool(log-ratio)): the ratio of whole responses. Rafailov et al. 2023, arXiv 2305.18290."""

    gives_reward: ClassVar[bool] = True
    per_token: ClassVar[bool] = False  # every token has a reward of its own, which a run leaves behind

    def apply(
        self, divergence: Divergence, length: Length, log_ratio_BKT: Tensor, mask_BKT: Tensor
    ) -> Tensor:
        """The linked log-ratio of each response, BK."""
        return divergence.link(length.pool(log_ratio_BKT, mask_BKT))

    def formula(self, link: Callable[[str], str], pool: Callable[[str], str], x: str) -> str:
        """The same for expressions, as text or as LaTeX."""
        return link(pool(x))
