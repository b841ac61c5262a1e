"""The Plackett-Luce likelihood of a ranking, in expectation over the rankings that scores draw."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations

import torch
from torch import Tensor

from xpo.contracts import Batch, Context
from xpo.objective import lists
from xpo.objective.lists import ScoredList
from xpo.registry import register

LONGEST = 8
"""Responses of a row: 2^8 subsets are walked."""


@register("objective", "expected_list_mle")
@dataclass(frozen=True)
class ExpectedListMLE(ScoredList):
    """E over orders drawn by Plackett and Luce from the scores of objective=list_mle: its soft labels.

    What is drawn when the responses of S are left is drawn by softmax(scores) among them, so the expectation
    is sum_S P(S is left) (log sum_S e^r - sum_S softmax_S(score) r). ``reward.scale`` is the scores'
    temperature. Least where reward differences are differences of scores. Raises ``ValueError`` for lists of
    more than 8 responses.
    """

    @property
    def fits(self) -> str:
        return "log_odds"

    def __call__(self, reward_BK: Tensor, batch: Batch, context: Context) -> Tensor:
        reward_BK, score_BK = self.read(reward_BK, batch)
        present_BK, size = batch.present_BK, reward_BK.shape[1]
        if size > LONGEST:
            raise ValueError(
                f"expected_list_mle walks all subsets of at most {LONGEST} responses, got {size}"
            )
        loss_B = torch.zeros_like(reward_BK[:, 0])
        left: dict[tuple[int, ...], Tensor] = {}
        for count in range(size, 0, -1):
            for subset in combinations(range(size), count):
                index = torch.tensor(subset, device=reward_BK.device)
                whole_B = (present_BK.sum(1) == count) & present_BK[:, index].all(1)
                odds_B = left.pop(subset, torch.zeros_like(loss_B)) + whole_B.to(loss_B.dtype)
                drawn_BS = lists.softmax(score_BK[:, index], present_BK[:, index])
                nll_B = -(drawn_BS * lists.log_softmax(reward_BK[:, index], present_BK[:, index])).sum(1)
                loss_B = loss_B + odds_B * nll_B
                for place in range(count):
                    rest = subset[:place] + subset[place + 1 :]
                    left[rest] = left.get(rest, torch.zeros_like(loss_B)) + odds_B * drawn_BS[:, place]
        return loss_B

    def text(self, preferred: str, dispreferred: str, margin: str) -> str:
        return f"mean_order_nll(score, {preferred})"

    def latex(self, preferred: str, dispreferred: str, margin: str) -> str:
        after = rf"\sum_{{j \geq i}} e^{{{preferred}(y_{{o_j}})}}"
        order = rf"\prod_i e^{{{preferred}(y_{{o_i}})}} / {after}"
        return rf"-\mathbb{{E}}_{{o \sim \mathrm{{PL}}(s)}} \log {order}"
