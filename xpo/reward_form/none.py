"""No reward, so no form of one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from xpo.contracts import Batch
from xpo.registry import register


@register("reward_form", "none")
@dataclass(frozen=True)
class NoForm:
    """For reward=none: there is no label to take."""

    reads: ClassVar[str] = ""  # the feedback that an explicit reward takes its labels from
    averages: ClassVar[bool] = False  # over the responses that one was compared with

    def log_odds(self, batch: Batch) -> Tensor:
        """BKK, the log-odds that i beats j."""
        raise ValueError("reward_form=none gives no labels: use reward_form=pointwise or pairwise")

    def text(self) -> str:
        return ""

    def latex(self) -> str:
        return ""
