"""What a constraint on the expected cost may do to a policy gradient."""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor


class Constraint:
    """Leaves everything as it is: one stream of rewards, the whole penalty in it.

    ``applies``: there are two streams, rewards and costs, each with advantages of its own. ``needs`` (of
    contracts.FEEDBACK): what samples must carry. All that changes from rollout to rollout is in ``state``, a
    small float64 tensor that the caller keeps (and writes to checkpoints). Nothing here has a gradient.
    """

    applies: ClassVar[bool] = False
    needs: ClassVar[frozenset[str]] = frozenset()

    def start(self) -> Tensor:
        """The state before the first rollout."""
        return torch.zeros(0, dtype=torch.float64)

    def updated(self, state: Tensor, cost_N: Tensor) -> Tensor:
        """The state after a rollout whose N responses (of all ranks) cost this."""
        return state

    def multiplier(self, state: Tensor) -> Tensor:
        """lambda, the price of a unit of cost in units of reward: a scalar, 0 or more."""
        return torch.zeros((), dtype=torch.float64)

    def mixed(self, advantage_BKT: Tensor, cost_advantage_BKT: Tensor | None, state: Tensor) -> Tensor:
        """The advantages that the policy is trained with. They are whitened after this, if at all."""
        return advantage_BKT

    def streams(self, penalty_BKT: Tensor) -> tuple[Tensor, Tensor]:
        """What is added to rewards and to costs, from the penalty (beta in it) that lowers rewards."""
        return penalty_BKT, torch.zeros_like(penalty_BKT)

    @property
    def signs(self) -> tuple[str, str]:
        """What ``streams`` do with a divergence's price, in rewards and in costs; empty where nothing."""
        return "-", ""

    def weight_text(self) -> str:
        """``weight`` as an expression, empty where it is 1."""
        return ""

    def weight(self, state: Tensor) -> Tensor:
        """What the penalty counts for beside mixed advantages, for one that is a term of the loss."""
        return torch.ones((), dtype=torch.float64)

    def metrics(self, state: Tensor) -> dict[str, float]:
        """Numbers to log."""
        return {}

    @property
    def notes(self) -> tuple[str, ...]:
        """What its settings do that its text does not say by itself."""
        return ()

    def text(self, reward: str = "reward_advantage", cost: str = "cost_advantage") -> str:
        """How what is known of rewards and of costs is mixed, in ASCII."""
        return reward
