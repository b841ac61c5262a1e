"""The exact optimum under a limit on the expected cost, in its two forms, in float64.

Both are one-parameter families of policies, and the multiplier lambda is one number for all prompts:
expectations are averages over prompts.

**exact**: max E[r] - beta KL(pi || ref) subject to E[c] <= d. The Lagrangian E[r - lambda c] - beta KL is
concave, and its maximiser is ref exp((r - lambda c) / beta), whose E[c] falls in lambda (its derivative is
-Var(c) / beta): lambda is 0 where the limit does not bind, else the root of E[c] = d.

**paper**: the fixed point of Dai et al. 2023, arXiv 2310.12773, whose advantage is (A_r - lambda A_c) / (1 +
lambda) with the penalty beta after the division: (r - lambda c) / (1 + lambda) - beta log(pi / ref) is level,
so that pi is ref exp((r - lambda c) / ((1 + lambda) beta)), and the multiplier rests at E[c] = d. It is the
exact optimum of another problem, with beta (1 + lambda) in the place of beta: a limit that binds costs more
reward than it has to. As lambda grows it tends to ref exp(-c / beta), so that lower limits are out of reach,
and E[c] need not fall everywhere in lambda (only where Cov(c, r + c) > 0): the root is the first one, where a
multiplier that begins at 0 comes to rest.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

_LEAST, _MOST, _STEPS = 1e-5, 1e8, 600  # multipliers that are tried, evenly on a log scale
_HALVINGS = 80

Policy = Callable[[float], Tensor]
"""A multiplier -> log pi, XN."""


@dataclass(frozen=True)
class Problem:
    """max E[reward] - beta KL(pi || ref) subject to E[cost] <= limit, over X prompts and N responses each.

    ``beta`` and ``limit`` are in the units of reward and cost. Raises ``ValueError`` for a beta that is not
    above 0, a limit that is not finite.
    """

    ref_logp_XN: Tensor
    reward_XN: Tensor
    cost_XN: Tensor
    beta: float
    limit: float

    def __post_init__(self) -> None:
        if not 0 < self.beta < math.inf:
            raise ValueError(f"beta must be above 0 and finite, got {self.beta}")
        if not math.isfinite(self.limit):
            raise ValueError(f"limit must be finite, got {self.limit}")

    def policy(self, multiplier: float, scale: float) -> Tensor:
        """log of ref exp((r - multiplier c) / scale), each prompt summing to 1."""
        gain_XN = (self.reward_XN.double() - multiplier * self.cost_XN.double()) / scale
        return torch.log_softmax(self.ref_logp_XN.double() + gain_XN, dim=1)


@dataclass(frozen=True)
class Constrained:
    """A solution: the multiplier, log pi*, and its E[reward] and E[cost], averages over prompts."""

    multiplier: float
    logp_XN: Tensor
    reward: float
    cost: float


def exact_optimum(problem: Problem) -> Constrained:
    """The constrained optimum. Raises ``ValueError`` where no policy costs as little as the limit."""
    return _solved(problem, lambda multiplier: problem.policy(multiplier, problem.beta))


def paper_optimum(problem: Problem) -> Constrained:
    """The published method's fixed point. Raises ``ValueError`` where it has none at the limit."""
    return _solved(problem, lambda multiplier: problem.policy(multiplier, (1 + multiplier) * problem.beta))


OPTIMA: dict[str, Callable[[Problem], Constrained]] = {"exact": exact_optimum, "paper": paper_optimum}
"""By the name of the form."""


def _solved(problem: Problem, policy: Policy) -> Constrained:
    def cost(multiplier: float) -> float:
        return _mean(policy(multiplier), problem.cost_XN)

    grid = torch.logspace(math.log10(_LEAST), math.log10(_MOST), _STEPS, dtype=torch.float64).tolist()
    low, found, least = 0.0, math.inf, cost(0.0)
    for high in [0.0, *grid]:
        reached = cost(high)
        least = min(least, reached)
        if reached <= problem.limit:
            found = _root(cost, problem.limit, low, high)
            break
        low = high
    if math.isinf(found):
        raise ValueError(
            f"no policy of this form has an expected cost of {problem.limit:g} or less: the least is "
            f"{least:.6g}"
        )
    logp_XN = policy(found)
    return Constrained(found, logp_XN, _mean(logp_XN, problem.reward_XN), _mean(logp_XN, problem.cost_XN))


def _root(cost: Callable[[float], float], limit: float, low: float, high: float) -> float:
    """Where the cost comes down to the limit; ``high`` is on the safe side, and so is what is returned."""
    for _ in range(_HALVINGS if high else 0):
        middle = (low + high) / 2
        low, high = (low, middle) if cost(middle) <= limit else (middle, high)
    return high


def _mean(logp_XN: Tensor, values_XN: Tensor) -> float:
    """E_pi[values], averaged over prompts; a response without mass counts nothing."""
    return float((logp_XN.exp() * values_XN.double()).sum(1).mean())
