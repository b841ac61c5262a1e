"""A limit on the expected cost, by a Lagrange multiplier on a log scale."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar, Literal

import torch
from torch import Tensor

from xpo.constraint.base import Constraint
from xpo.registry import register


@register("constraint", "lagrange")
@dataclass(frozen=True)
class Lagrange(Constraint):
    """max E[r] subject to E[c] <= limit: A = (A_r - lambda A_c) / (1 + lambda). arXiv 2310.12773.

    Dai et al. 2023 (Safe RLHF). A cost is positive where a response is unsafe; ``limit`` is in its units. log
    lambda begins at log ``init`` and makes a step of SGD on -(J - limit) e^(log lambda) after each rollout,
    so that it moves by ``lr`` (J - limit) lambda; it is at most log ``most``. J is the mean cost of the last
    ``window`` responses, or of the whole newest rollout where that has more (ours: its rows stand in the
    order of their prompts, and a part of them would be the cost of some prompts only).

    Where the divergence goes, k = log(pi / ref) at a token:

    ``form=paper``: -beta k in the rewards and +beta k in the costs. Mixed they are -(beta + lambda beta) k /
    (1 + lambda) = -beta k, whatever lambda is. A policy is at rest where (r - lambda c) / (1 + lambda) - beta
    k is level: ref exp((r - lambda c) / ((1 + lambda) beta)). That is the optimum at beta (1 + lambda), not
    at beta: the tighter the limit, the stronger the pull to the reference.

    ``form=exact`` (ours): -beta k in the rewards, nothing in the costs, so that what is mixed is (r - lambda
    c - beta k) / (1 + lambda), the Lagrangian of max E[r] - beta KL subject to E[c] <= limit over a positive
    number. The policy at rest is ref exp((r - lambda c) / beta), the constrained optimum itself. (After the
    division the penalty is beta / (1 + lambda), and that of the paper beta; before it they are beta and beta
    (1 + lambda).)

    ``xpo.gold.constrained`` has both fixed points. A baseline or a value of each stream takes off the mean of
    that stream alone; advantages that are whitened before they are mixed would move both. Raises
    ``ValueError`` for values out of range, and for costs that are none or not finite.
    """

    applies: ClassVar[bool] = True
    needs: ClassVar[frozenset[str]] = frozenset({"costs"})

    limit: float = 0.0
    init: float = 1.0
    lr: float = 0.1
    most: float = 5.0
    window: int = 128
    form: Literal["paper", "exact"] = "paper"

    def __post_init__(self) -> None:
        if not math.isfinite(self.limit):
            raise ValueError(f"limit must be finite, got {self.limit}")
        for name in ("lr", "most"):
            if not 0 < self.__dict__[name] < math.inf:
                raise ValueError(f"{name} must be above 0 and finite, got {self.__dict__[name]}")
        if not 0 < self.init <= self.most:
            raise ValueError(f"init must be above 0 and at most most={self.most}, got {self.init}")
        if self.window < 1:
            raise ValueError(f"window must be at least 1, got {self.window}")

    def start(self) -> Tensor:
        """log lambda, how many costs the window holds, and the window: the newest last, 0 where none is."""
        state = torch.zeros(2 + self.window, dtype=torch.float64)
        state[0] = math.log(self.init)
        return state

    def updated(self, state: Tensor, cost_N: Tensor) -> Tensor:
        cost_N = cost_N.detach().to(state)
        if not (cost_N.numel() and bool(torch.isfinite(cost_N).all())):
            raise ValueError(f"a limit needs the costs of a rollout, all finite, got {cost_N.numel()} costs")
        log, held = state[0], int(state[1])
        past = min(held, max(self.window - len(cost_N), 0))
        counted = torch.cat([state[len(state) - past :], cost_N])
        log = log + self.lr * (counted.mean() - self.limit) * log.exp()
        kept = counted[-self.window :]
        new = torch.zeros_like(state)
        new[0], new[1], new[len(new) - len(kept) :] = log.clamp(max=math.log(self.most)), len(kept), kept
        return new

    def multiplier(self, state: Tensor) -> Tensor:
        return state[0].detach().exp()

    def mixed(self, advantage_BKT: Tensor, cost_advantage_BKT: Tensor | None, state: Tensor) -> Tensor:
        assert cost_advantage_BKT is not None, "its costs have advantages of their own"
        price = self.multiplier(state).to(advantage_BKT)
        return (advantage_BKT - price * cost_advantage_BKT) / (1 + price)

    def streams(self, penalty_BKT: Tensor) -> tuple[Tensor, Tensor]:
        if self.form == "paper":
            return penalty_BKT, -penalty_BKT
        return penalty_BKT, torch.zeros_like(penalty_BKT)

    @property
    def signs(self) -> tuple[str, str]:
        return "-", "+" if self.form == "paper" else ""

    def weight_text(self) -> str:
        return "" if self.form == "paper" else "1 / (1 + multiplier)"

    def weight(self, state: Tensor) -> Tensor:
        return torch.ones_like(state[0]) if self.form == "paper" else 1 / (1 + self.multiplier(state))

    def metrics(self, state: Tensor) -> dict[str, float]:
        """The multiplier, and the mean of the costs in the window (0 before the first rollout)."""
        held = max(1.0, float(state[1]))
        return {"multiplier": float(self.multiplier(state)), "mean_cost": float(state[2:].sum()) / held}

    @property
    def notes(self) -> tuple[str, ...]:
        rest = {
            "paper": "ref exp((r - multiplier c) / ((1 + multiplier) beta)): the tighter the limit, the "
            "stronger the pull to the reference (constraint.form=exact has the constrained optimum)",
            "exact": "ref exp((r - multiplier c) / beta), the optimum under the limit",
        }[self.form]
        return (f"With reverse KL the policy at rest is {rest}.",)

    def text(self, reward: str = "reward_advantage", cost: str = "cost_advantage") -> str:
        return f"({reward} - multiplier * {cost}) / (1 + multiplier)"
