"""No reward, so no level of one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from xpo.contracts import Divergence, Length
from xpo.registry import register
from xpo.reward_level.whole import Whole


@register("reward_level", "none")
@dataclass(frozen=True)
class NoLevel(Whole):
    """For reward=none: every linked log-ratio is 0."""

    gives_reward: ClassVar[bool] = False
    per_token: ClassVar[bool] = False  # every token has a reward of its own, which a run leaves behind

    def apply(
        self, divergence: Divergence, length: Length, log_ratio_BKT: Tensor, mask_BKT: Tensor
    ) -> Tensor:
        """The linked log-ratio of each response, BK."""
        return torch.zeros(mask_BKT.shape[:-1], dtype=log_ratio_BKT.dtype, device=log_ratio_BKT.device)

    def formula(self, link: Callable[[str], str], pool: Callable[[str], str], x: str) -> str:
        """The same for expressions, as text or as LaTeX."""
        return f"0 * {pool(x)}"
