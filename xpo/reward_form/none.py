"""No reward, so no form of one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor

from xpo.contracts import Batch
from xpo.registry import register
from xpo.reward_model.heads import RewardHead


@register("reward_form", "none")
@dataclass(frozen=True)
class NoForm:
    """For reward=none: there is no label to take."""

    reads: ClassVar[str] = ""  # the feedback that an explicit reward takes its labels from
    has_head: ClassVar[bool] = False  # a head can be trained to give it
    of_pairs: ClassVar[bool] = False  # no score of one response
    averages: ClassVar[bool] = False  # over the responses that one was compared with

    def log_odds(self, batch: Batch) -> Tensor:
        """BKK, the log-odds that i beats j."""
        raise ValueError("reward_form=none gives no labels: use reward_form=pointwise or pairwise")

    def head(self, reward: Any, width: int, seed: int, dtype: torch.dtype) -> RewardHead:
        """The head that a trained reward of this form has."""
        raise ValueError("reward_form=none has no head: use reward_form=pointwise or pairwise")

    def text(self) -> str:
        return ""

    def latex(self) -> str:
        return ""
