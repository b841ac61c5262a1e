"""Deliberately broken components: the checks that everybody's component must pass have to catch each.

A mutant that only a formula's own oracle can catch (a wrong constant) is compared with that oracle.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar

import pytest
import torch
from torch import Tensor
from torch.nn.functional import logsigmoid

from tests.objective.test_objective import ORACLES, by_loop, loss
from xpo.contracts import Batch, Context, masked
from xpo.divergence.alpha import Alpha
from xpo.divergence.base import FDivergence
from xpo.divergence.forward_kl import ForwardKL
from xpo.divergence.jeffreys import Jeffreys
from xpo.divergence.js import JensenShannon
from xpo.divergence.reverse_kl import ReverseKL
from xpo.length.mean import Mean
from xpo.length.penalty import Penalty
from xpo.length.shared_length import SharedLength
from xpo.objective.hinge import Hinge
from xpo.objective.likelihood import Likelihood
from xpo.objective.logistic import Logistic
from xpo.objective.odds_ratio import OddsRatio
from xpo.objective.preference_ranking import PreferenceRanking
from xpo.objective.prospect import Prospect
from xpo.objective.squared import Squared
from xpo.reduce.rows import Rows
from xpo.reward.explicit import Explicit
from xpo.sft.merged import Merged
from xpo.testing import checks_for, failures, toy
from xpo.testing.checks_common import CHECKS

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
        context, logp_BKT=None if context.logp_BKT is None else context.logp_BKT.detach()
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
OBJECTIVES = (Logistic(), Squared(), Hinge(), OddsRatio(), Prospect(), PreferenceRanking(), Likelihood())
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


def _no_smoothing(self: Any, reward_BK: Tensor, batch: Batch, context: Context) -> Tensor:
    return Logistic()(reward_BK, batch, context)


def _full_target(self: Any, reward_BK: Tensor, batch: Batch, context: Context) -> Tensor:
    return Squared(self.tau / 2)(reward_BK, batch, context)  # 1 / tau for 1 / (2 tau)


def _z0_with_gradient(self: Any, reward_BK: Tensor, batch: Batch, context: Context) -> Tensor:
    present = batch.present_BK
    own = torch.stack([masked(reward_BK, present).sum(), present.sum().to(reward_BK.dtype)])
    return original(self, reward_BK, batch, dataclasses.replace(context, statistics=own))


def _z0_unclamped(self: Any, reward_BK: Tensor, batch: Batch, context: Context) -> Tensor:
    assert context.statistics is not None
    z0 = context.statistics[0] / context.statistics[1]
    return original(self, reward_BK - z0, batch, dataclasses.replace(context, statistics=torch.zeros(2)))


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
    (Logistic(0.2), _no_smoothing),
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
    t, negative = toy(), Context(statistics=torch.tensor([-2.0, 1.0]).double())
    values = [
        part(t.reward_BK, t.batch, negative) for part in (Prospect(), mutant(Prospect(), _z0_unclamped))
    ]
    assert not torch.allclose(values[0], values[1])


# --- the other groups: one class per mistake -----------------------------------------------------------


@dataclass(frozen=True)
class MeanOverPadding(Mean):
    """Divides by the padded length."""

    def pool(self, log_ratio_BKT: Tensor, mask_BKT: Tensor) -> Tensor:
        return masked(log_ratio_BKT, mask_BKT).mean(-1)


@dataclass(frozen=True)
class LengthFromValues(Mean):
    """Counts the tokens whose log-ratio is not 0."""

    def pool(self, log_ratio_BKT: Tensor, mask_BKT: Tensor) -> Tensor:
        values = masked(log_ratio_BKT, mask_BKT)
        return values.sum(-1) / (values != 0).sum(-1)


@dataclass(frozen=True)
class UnmaskedSum(Mean):
    """Multiplies by the mask, so that garbage times 0 is garbage."""

    def pool(self, log_ratio_BKT: Tensor, mask_BKT: Tensor) -> Tensor:
        return (log_ratio_BKT * mask_BKT).sum(-1) / mask_BKT.sum(-1).clamp(min=1)


@dataclass(frozen=True)
class SilentPenalty(Penalty):
    """Declares an offset that it does not give."""

    def offset(self, mask_BKT: Tensor) -> Tensor:
        return 0.0 * mask_BKT.sum(-1)


@dataclass(frozen=True)
class SharedWithPadding(SharedLength):
    """Takes absent responses for the shortest."""

    def pool(self, log_ratio_BKT: Tensor, mask_BKT: Tensor) -> Tensor:
        shortest_B11 = mask_BKT.sum(-1).amin(1)[:, None, None]
        weight_BKT = torch.where(mask_BKT.cumsum(-1) <= shortest_B11, 1.0, self.alpha)
        return (masked(log_ratio_BKT, mask_BKT) * weight_BKT).sum(-1)


@dataclass(frozen=True)
class KeepsItsConstant(JensenShannon):
    """A link that is -log 2 ... at the reference: f'(1) is forgotten."""

    def link(self, log_u: Tensor) -> Tensor:
        return logsigmoid(log_u)


@dataclass(frozen=True)
class OtherConvention(Alpha):
    """1 - alpha for alpha."""

    def link(self, log_u: Tensor) -> Tensor:
        return Alpha(1 - self.alpha).link(log_u)


@dataclass(frozen=True)
class Overflows(ForwardKL):
    """No limit on the exponent."""

    def link(self, log_u: Tensor) -> Tensor:
        return 1 - torch.exp(-2 * log_u) / 2


@dataclass(frozen=True)
class BiasedValue(ReverseKL):
    """Half the square: non-negative, not unbiased."""

    def value(self, log_u: Tensor) -> Tensor:
        return log_u.square() / 2


@dataclass(frozen=True)
class SignedValue(ReverseKL):
    """Unbiased, not non-negative."""

    def value(self, log_u: Tensor) -> Tensor:
        return log_u


@dataclass(frozen=True)
class FlatFarOut(ForwardKL):
    """Clamps the log-ratio: nothing pulls a response back from there."""

    def link(self, log_u: Tensor) -> Tensor:
        return super().link(log_u.clamp(-5, 5))


@dataclass(frozen=True)
class ClaimsLinear(Jeffreys):
    """Declares what is not so."""

    linear: ClassVar[bool] = True


@dataclass(frozen=True)
class ClaimsInvertible(ReverseKL):
    """A bounded f'."""

    def link(self, log_u: Tensor) -> Tensor:
        return torch.tanh(log_u)


@dataclass(frozen=True)
class WrongOptimum(ReverseKL):
    """Divides by beta twice."""

    def optimum(self, ref_logp: Tensor, reward: Tensor, beta: float) -> Tensor:
        return FDivergence.optimum(self, ref_logp, reward / beta, beta)


@dataclass(frozen=True)
class IgnoresScale(Explicit):
    """A field that nothing reads."""

    def relabelled(self, batch: Batch, reward_form: Any) -> Batch:
        return Explicit(self.beta).relabelled(batch, reward_form)


@dataclass(frozen=True)
class LocalMean(Rows):
    """Divides by this micro-batch's rows."""

    def __call__(self, loss_B: Tensor, batch: Batch) -> tuple[Tensor, float]:
        return (batch.weight_B * loss_B).sum(), float(batch.weight_B.sum())


@dataclass(frozen=True)
class CountsFiller(Rows):
    """Forgets the weights."""

    def __call__(self, loss_B: Tensor, batch: Batch) -> tuple[Tensor, float]:
        return loss_B.sum(), batch.totals.rows


@dataclass(frozen=True)
class PushesDown(Merged):
    """The sign of the likelihood."""

    def term(self, logp_BKT: Tensor, prompt_logp_BP: Tensor | None, batch: Batch) -> tuple[Tensor, float]:
        numerator, denominator = super().term(logp_BKT, prompt_logp_BP, batch)
        return -numerator, denominator


MISTAKES = [
    ("length", MeanOverPadding()),
    ("length", LengthFromValues()),
    ("length", UnmaskedSum()),
    ("length", SilentPenalty()),
    ("length", SharedWithPadding()),
    ("divergence", KeepsItsConstant()),
    ("divergence", OtherConvention(0.3)),
    ("divergence", Overflows()),
    ("divergence", BiasedValue()),
    ("divergence", SignedValue()),
    ("divergence", FlatFarOut()),
    ("divergence", ClaimsLinear()),
    ("divergence", ClaimsInvertible()),
    ("divergence", WrongOptimum()),
    ("reward", IgnoresScale()),
    ("reduce", LocalMean()),
    ("reduce", CountsFiller()),
    ("sft", PushesDown()),
]


@pytest.mark.parametrize(
    ("group", "broken"), MISTAKES, ids=lambda v: type(v).__name__ if not isinstance(v, str) else v
)
def test_kit_catches_mistakes_of_other_groups(group: str, broken: Any) -> None:
    assert caught(type(broken).__mro__[1](**broken.__dict__), group) == []
    assert caught(broken, group) != []
