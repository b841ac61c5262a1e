"""One reward per step."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from xpo.contracts import Divergence, Length
from xpo.registry import register


@register("reward_level", "step")
@dataclass(frozen=True)
class StepLevel:
    """Responses are single steps of a solution. Lai et al. 2024, arXiv 2406.18629, eq. 2.

    The prompt holds the question and the steps so far. A step is no end: no EOS is trained behind it. What
    all responses of a row begin with is read as steps so far, too, and does not train.
    """

    ends: ClassVar[bool] = False
    gives_reward: ClassVar[bool] = True
    per_token: ClassVar[bool] = False

    def apply(
        self, divergence: Divergence, length: Length, log_ratio_BKT: Tensor, mask_BKT: Tensor
    ) -> Tensor:
        """The linked log-ratio of each step, BK."""
        return divergence.link(length.pool(log_ratio_BKT, mask_BKT))

    def formula(self, link: Callable[[str], str], pool: Callable[[str], str], x: str) -> str:
        """The same for expressions, as text or as LaTeX."""
        return link(pool(x))
