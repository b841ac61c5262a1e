"""Deliberately broken components: the checks that everybody's component must pass have to catch each.

A mutant that only a formula's own oracle can catch (a wrong constant) is compared with that oracle.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn.functional import logsigmoid

from tests.objective.test_objective import ORACLES, by_loop, loss, seen
from xpo.contracts import Batch, Context, masked
from xpo.objective.likelihood import Likelihood
from xpo.objective.logistic import Logistic
from xpo.objective.odds_ratio import OddsRatio
from xpo.objective.preference_ranking import PreferenceRanking
from xpo.objective.prospect import Prospect
from xpo.objective.squared import Squared
from xpo.testing import checks_for, failures, toy
from xpo.testing.checks_common import CHECKS
from xpo.testing.options import options

Call = Callable[[Any, Tensor, Batch, Context], Tensor]


def mutant(objective: Any, call: Call, **declared: Any) -> Any:
    """The objective with another loss or other declarations."""
    base = type(objective)
    namespace = {"__call__": call, "__doc__": base.__doc__, "__module__": __name__, **declared}
    return dataclasses.dataclass(frozen=True)(type(base.__name__, (base,), namespace))(**objective.__dict__)


def caught(component: Any, group: str) -> list[str]:
    """What the group's own checks say: a class made here could not be pickled anyway."""
    return failures(component, group, [check for check in checks_for(group) if check not in CHECKS])


def original(objective: Any, reward_BK: Tensor, batch: Batch, context: Context) -> Tensor:
    return type(objective).__mro__[1].__call__(objective, reward_BK, batch, context)


def sign(objective: Any, reward_BK: Tensor, batch: Batch, context: Context) -> Tensor:
    return -original(objective, reward_BK, batch, context)


def detached(objective: Any, reward_BK: Tensor, batch: Batch, context: Context) -> Tensor:
    context = dataclasses.replace(
        context,
        logp_BKT=None if context.logp_BKT is None else context.logp_BKT.detach(),
        token={name: value.detach() for name, value in context.token.items()},
        value={name: value.detach() for name, value in context.value.items()},
    )
    return original(objective, reward_BK.detach(), batch, context)


def batch_mean(objective: Any, reward_BK: Tensor, batch: Batch, context: Context) -> Tensor:
    value = original(objective, reward_BK, batch, context)
    return value.mean().expand_as(value)


def weighted(objective: Any, reward_BK: Tensor, batch: Batch, context: Context) -> Tensor:
    return original(objective, reward_BK, batch, context) * batch.weight_B


def over_all_responses(objective: Any, reward_BK: Tensor, batch: Batch, context: Context) -> Tensor:
    return original(objective, reward_BK, batch, context) / reward_BK.shape[1]


def padding_counts(objective: Any, reward_BK: Tensor, batch: Batch, context: Context) -> Tensor:
    return original(objective, reward_BK, batch, context) + 1e-3 * reward_BK.sum(1)


def unordered_rewards(objective: Any, reward_BK: Tensor, batch: Batch, context: Context) -> Tensor:
    return original(objective, reward_BK.flip(1), batch, context)


def other_rows(objective: Any, reward_BK: Tensor, batch: Batch, context: Context) -> Tensor:
    return original(objective, reward_BK - masked(reward_BK, batch.present_BK).mean(), batch, context) + (
        0 if objective.difference is False else 1e-3 * reward_BK[0].sum()
    )


EVERYWHERE = (sign, detached, batch_mean, weighted, over_all_responses)
ON_REWARDS = (unordered_rewards, padding_counts, other_rows)
OBJECTIVES = [o for option in options("objective") if not (o := option.make()).policy_gradient]
"""Losses of given rows; what is none of them is broken in tests/testing/test_kit.py."""
BROKEN = [(o, call) for o in OBJECTIVES for call in EVERYWHERE]
BROKEN += [(o, call) for o in OBJECTIVES if o.reads_reward for call in ON_REWARDS]


@pytest.mark.parametrize(
    ("objective", "call"), BROKEN, ids=lambda v: getattr(v, "__name__", type(v).__name__)
)
def test_kit_catches_broken_objectives(objective: Any, call: Call) -> None:
    assert caught(mutant(objective, original), "objective") == []
    assert caught(mutant(objective, call), "objective") != []


@pytest.mark.parametrize("objective", OBJECTIVES, ids=repr)
def test_kit_catches_wrong_declarations(objective: Any) -> None:
    for declared in ("reads_margin", "reads_roles", "reads_reward", "per_token", "difference"):
        value = getattr(objective, declared)
        if declared == "difference" and not objective.reads_reward:
            continue
        liar = mutant(objective, original, **{declared: not value})
        assert caught(liar, "objective") != [], declared
    for needs in (objective.needs | {"wins"}, frozenset[str]()):
        assert caught(mutant(objective, original, needs=needs), "objective") != [], needs


def _full_target(self: Any, reward_BK: Tensor, batch: Batch, context: Context) -> Tensor:
    return Squared(self.tau / 2)(reward_BK, batch, context)  # 1 / tau for 1 / (2 tau)


def _z0_with_gradient(self: Any, reward_BK: Tensor, batch: Batch, context: Context) -> Tensor:
    present = batch.present_BK
    own = torch.stack([masked(reward_BK, present).sum(), present.sum().to(reward_BK.dtype)])
    return original(self, reward_BK, batch, dataclasses.replace(context, step=seen(own)))


def _z0_unclamped(self: Any, reward_BK: Tensor, batch: Batch, context: Context) -> Tensor:
    assert context.step is not None
    total, count = context.step.mean_F()
    return original(
        self, reward_BK - total / count, batch, dataclasses.replace(context, step=seen(torch.zeros(2)))
    )


def _log_ratio_of_p(self: Any, reward_BK: Tensor, batch: Batch, context: Context) -> Tensor:
    return Logistic()(reward_BK, batch, context)  # log p for log p - log(1 - p)


def _naive_odds(self: Any, reward_BK: Tensor, batch: Batch, context: Context) -> Tensor:
    reward_BK = masked(reward_BK, batch.present_BK)
    odds_BK = reward_BK - torch.log1p(-reward_BK.exp())
    gap_BKK = odds_BK[:, :, None] - odds_BK[:, None, :]
    assert batch.prefer_BKK is not None
    return -(batch.prefer_BKK * logsigmoid(gap_BKK)).sum((1, 2))


def _one_temperature(self: Any, reward_BK: Tensor, batch: Batch, context: Context) -> Tensor:
    assert batch.score_BK is not None
    one = dataclasses.replace(batch, score_BK=(batch.score_BK > batch.score_BK.mean()).double())
    return original(self, reward_BK, one, context)


def _per_response_mean(self: Any, reward_BK: Tensor, batch: Batch, context: Context) -> Tensor:
    assert context.logp_BKT is not None
    logp_BKT = context.logp_BKT / batch.length_BK.clamp(min=1)[:, :, None]
    return original(self, reward_BK, batch, dataclasses.replace(context, logp_BKT=logp_BKT))


SUBTLE = [
    (Squared(0.7), _full_target),
    (Prospect(), _z0_with_gradient),
    (OddsRatio(), _log_ratio_of_p),
    (OddsRatio(), _naive_odds),
    (PreferenceRanking(), _one_temperature),
    (Likelihood(), _per_response_mean),
]


@pytest.mark.parametrize(("objective", "call"), SUBTLE, ids=lambda v: getattr(v, "__name__", ""))
def test_kit_or_oracle_catches_subtle_mistakes(objective: Any, call: Call) -> None:
    oracle = next(oracle for known, oracle in ORACLES if known == objective)
    broken, t = mutant(objective, call), toy(rows=3)
    agrees = torch.allclose(loss(broken, t), by_loop(oracle, t), rtol=1e-9)
    assert not agrees or caught(broken, "objective") != []


def test_an_unclamped_z0_is_told_from_a_clamped_one():
    t, negative = toy(), Context(step=seen(torch.tensor([-2.0, 1.0]).double()))
    values = [
        part(t.reward_BK, t.batch, negative) for part in (Prospect(), mutant(Prospect(), _z0_unclamped))
    ]
    assert not torch.allclose(values[0], values[1])


# --- the other groups: one class per mistake -----------------------------------------------------------
