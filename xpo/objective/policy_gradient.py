"""The expected reward of the policy's own samples."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from xpo.contracts import Batch, Context
from xpo.objective.base import Declared
from xpo.registry import register


@register("objective", "policy_gradient")
@dataclass(frozen=True)
class PolicyGradient(Declared):
    """E_pi[reward] by its score function. Williams 1992; the loss is the group ``policy_loss``'s.

    What a token is credited with is said by the groups ``advantage`` and ``penalty``. ``entropy`` times the
    policy's next-token entropy (nats) is added to what is maximised, a mean as ``reduce`` takes it. A rollout
    is left as it is once KL(old || policy), estimated per token over a step, is above ``stop_kl``
    (null: never; Schulman's early stopping). ``truncation``: a token's loss is weighed by how much likelier
    the policy found it than who sampled it, at most so much (null: not weighed): for samplers that are not
    quite the policy (Yao et al. 2025, "Your efficient RL framework secretly brings you off-policy training").
    """

    policy_gradient: ClassVar[bool] = True
    needs: ClassVar[frozenset[str]] = frozenset()
    reads_reward: ClassVar[bool] = False
    reads_margin: ClassVar[bool] = False
    reads_roles: ClassVar[bool] = False
    explicit_reward: ClassVar[bool] = True
    per_token: ClassVar[bool] = True
    counts_scores: ClassVar[bool] = True
    arity: ClassVar[frozenset[str]] = frozenset({"single", "pair", "list"})

    entropy: float = 0.0
    stop_kl: float | None = None
    truncation: float | None = None

    def __post_init__(self) -> None:
        if not 0 <= self.entropy < float("inf"):
            raise ValueError(f"entropy must be at least 0 and finite, got {self.entropy}")
        if self.truncation is not None and not 0 < self.truncation < float("inf"):
            raise ValueError(f"truncation must be null or above 0 and finite, got {self.truncation}")
        if self.stop_kl is not None and not 0 < self.stop_kl < float("inf"):
            raise ValueError(f"stop_kl must be null or above 0 and finite, got {self.stop_kl}")

    def __call__(self, reward_BK: Tensor, batch: Batch, context: Context) -> Tensor:
        raise TypeError("policy_gradient is no loss of given rows: xpo.on_policy.arrow has it")

    def text(self, preferred: str, dispreferred: str, margin: str) -> str:
        return "sum_k(share * token_loss)"

    def latex(self, preferred: str, dispreferred: str, margin: str) -> str:
        return r"-\mathbb{E}_{y \sim \pi_\theta}\left[r(x, y)\right]"
