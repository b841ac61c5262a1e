"""The logistic loss of single responses against the reference, in nats."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor
from torch.nn.functional import logsigmoid

from xpo.contracts import Context
from xpo.objective.base import ResponseLoss
from xpo.registry import register


@register("objective", "response_logistic")
@dataclass(frozen=True)
class ResponseLogistic(ResponseLoss):
    """-(2 / beta) log sigmoid(+-reward). Zhang et al. 2024, arXiv 2404.05868, eq. 3 (polarity=negative).

    At the reference the gradient by a bad response's log-likelihood is 1 whatever beta is; for beta to 0 the
    loss is gradient ascent. With polarity=negative good responses are a constant, (2 / beta) log 2 each.
    """

    reads_beta: ClassVar[bool] = True

    def liked(self, reward_BK: Tensor, context: Context) -> Tensor:
        return -(2 / context.beta) * logsigmoid(reward_BK)

    def disliked(self, reward_BK: Tensor, context: Context) -> Tensor:
        return -(2 / context.beta) * logsigmoid(-reward_BK)

    def liked_text(self, reward: str) -> str:
        return f"-2 / beta * log_sigmoid({reward})"

    def disliked_text(self, reward: str) -> str:
        return f"-2 / beta * log_sigmoid(-({reward}))"

    def liked_latex(self, reward: str) -> str:
        return rf"-\frac{{2}}{{\beta}} \log\sigma({reward})"

    def disliked_latex(self, reward: str) -> str:
        return rf"-\frac{{2}}{{\beta}} \log\sigma(-{reward})"
