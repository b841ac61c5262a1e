"""A preference model: P(i beats j | x), not necessarily transitive."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor

from xpo.contracts import Batch
from xpo.registry import register
from xpo.reward_model.heads import JointHead, PreferenceHead, RewardHead

PLANES = 4


@register("reward_form", "pairwise")
@dataclass(frozen=True)
class Pairwise:
    """The log-odds of a preference model's probability. Munos et al. 2023, arXiv 2312.00886, section 2."""

    reads: ClassVar[str] = "wins"  # the feedback that an explicit reward takes its labels from
    has_head: ClassVar[bool] = True  # a head can be trained to give it
    of_pairs: ClassVar[bool] = True  # no score of one response
    averages: ClassVar[bool] = False  # over the responses that one was compared with

    def log_odds(self, batch: Batch) -> Tensor:
        """BKK, the log-odds that i beats j."""
        if batch.win_BKK is None:
            raise ValueError("reward_form=pairwise needs win probabilities, and the rows carry none")
        return torch.logit(batch.win_BKK)

    def head(self, reward: Any, width: int, seed: int, dtype: torch.dtype) -> RewardHead:
        """The head that a trained reward of this form has."""
        if reward.together:
            return JointHead(width, seed, dtype)
        return PreferenceHead(width, reward.planes or PLANES, seed, dtype)

    def text(self) -> str:
        return "log(win) - log(1 - win)"

    def latex(self) -> str:
        return r"\operatorname{logit} P(i \succ j)"
