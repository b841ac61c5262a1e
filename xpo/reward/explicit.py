"""The policy's reward is fitted to an explicit reward or preference model's labels."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import ClassVar, Protocol

import torch
from torch import Tensor

from xpo.contracts import Batch, masked
from xpo.registry import register


class RewardForm(Protocol):
    """Axis 2."""

    def log_odds(self, batch: Batch) -> Tensor: ...


@register("reward", "explicit")
@dataclass(frozen=True)
class Explicit:
    """Comparisons are relabelled by a scorer; scores are divided by ``scale``.

    The mass of each compared pair stays, its share becomes sigmoid(log-odds of winning / scale), where
    ``reward_form`` gives the log-odds: a difference of scores, or a preference model's. The policy is
    then fitted to the labels as with reward=implicit. Liu et al. 2023, arXiv 2309.06657.
    Under a policy gradient the scores themselves are the reward, divided by ``scale`` and cut to within
    ``clip`` of 0 (null: not cut), and beta is the divergence's.
    Raises ``ValueError`` when the rows carry no scores or wins.
    """

    relabels: ClassVar[bool] = True
    reads_reward: ClassVar[bool] = True
    trains_head: ClassVar[bool] = False  # rewards are a head's, no log-ratios
    gives_scores: ClassVar[bool] = True  # objectives of scores find them in the rows

    beta: float = 0.1
    scale: float = 1.0
    clip: float | None = None

    def __post_init__(self) -> None:
        if not 0 < self.beta < float("inf"):
            raise ValueError(f"beta must be above 0 and finite, got {self.beta}")
        if self.clip is not None and not 0 < self.clip < float("inf"):
            raise ValueError(f"clip must be null or above 0 and finite, got {self.clip}")
        if not 0 < self.scale < float("inf"):
            raise ValueError(f"scale must be above 0 and finite, got {self.scale}")

    def __call__(self, link_BK: Tensor) -> Tensor:
        return self.beta * link_BK

    def relabelled(self, batch: Batch, reward_form: RewardForm) -> Batch:
        """The batch with the scorer's share of each comparison's mass."""
        if batch.prefer_BKK is None:
            raise ValueError("reward=explicit relabels comparisons, and the rows of this batch carry none")
        mass_BKK = batch.prefer_BKK + batch.prefer_BKK.transpose(1, 2)
        win_BKK = torch.sigmoid(reward_form.log_odds(batch) / self.scale).to(mass_BKK.dtype)
        return dataclasses.replace(batch, prefer_BKK=masked(mass_BKK * win_BKK, mass_BKK > 0))

    def score(self, score: Tensor) -> Tensor:
        """A scorer's numbers as a policy gradient takes them."""
        score = score / self.scale
        return score if self.clip is None else score.clamp(-self.clip, self.clip)

    def scaled(self, batch: Batch) -> Batch:
        """The batch with scores divided by the scale."""
        if batch.score_BK is None:
            raise ValueError("reward=explicit reads scores, and the rows of this batch carry none")
        return dataclasses.replace(batch, score_BK=batch.score_BK / self.scale)

    def text(self, x: str) -> str:
        return f"{self.beta!r} * ({x})"

    def latex(self, x: str) -> str:
        return rf"{self.beta} \left({x}\right)"

    def labels_text(self, log_odds: str) -> str:
        return f"(prefer + swap(prefer)) * sigmoid(({log_odds}) / {self.scale!r})"

    def labels_latex(self, log_odds: str) -> str:
        return rf"(p_{{ij}} + p_{{ji}})\, \sigma\left(({log_odds}) / {self.scale}\right)"

    def score_text(self) -> str:
        return f"score / {self.scale!r}"

    def sample_text(self, x: str) -> str:
        """What a policy gradient takes a sample's score for."""
        scaled = x if self.scale == 1 else f"{x} / {self.scale!r}"
        return scaled if self.clip is None else f"minimum(maximum({scaled}, -{self.clip!r}), {self.clip!r})"

    def score_latex(self) -> str:
        return rf"s / {self.scale}"
