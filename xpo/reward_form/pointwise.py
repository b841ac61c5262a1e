"""Bradley-Terry: one score per response."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor

from xpo.contracts import Batch
from xpo.registry import register
from xpo.reward_model.heads import RewardHead, ScoreHead


@register("reward_form", "pointwise")
@dataclass(frozen=True)
class Pointwise:
    """The log-odds of winning are a difference of scores. Bradley and Terry 1952; arXiv 2305.18290, eq. 1."""

    reads: ClassVar[str] = "scores"  # the feedback that an explicit reward takes its labels from
    has_head: ClassVar[bool] = True  # a head can be trained to give it
    of_pairs: ClassVar[bool] = False  # no score of one response
    averages: ClassVar[bool] = False  # over the responses that one was compared with

    def log_odds(self, batch: Batch) -> Tensor:
        """BKK, the log-odds that i beats j."""
        if batch.score_BK is None:
            raise ValueError("reward_form=pointwise needs scores, and the rows carry none")
        return batch.score_BK[:, :, None] - batch.score_BK[:, None, :]

    def head(self, reward: Any, width: int, seed: int, dtype: torch.dtype) -> RewardHead:
        """The head that a trained reward of this form has."""
        return ScoreHead(width, reward.members, seed, dtype)

    def text(self) -> str:
        return "i(score) - j(score)"

    def latex(self) -> str:
        return "s_i - s_j"
