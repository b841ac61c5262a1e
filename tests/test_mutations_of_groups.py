"""Deliberately broken lengths, divergences, rewards, reductions: the kit has to catch each."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import pytest
import torch
from torch import Tensor
from torch.nn.functional import logsigmoid

from tests.test_mutations import caught
from xpo.contracts import Batch, masked
from xpo.divergence.alpha import Alpha
from xpo.divergence.base import FDivergence
from xpo.divergence.forward_kl import ForwardKL
from xpo.divergence.jeffreys import Jeffreys
from xpo.divergence.js import JensenShannon
from xpo.divergence.reverse_kl import ReverseKL
from xpo.length.mean import Mean
from xpo.length.penalty import Penalty
from xpo.length.shared_length import SharedLength
from xpo.reduce.rows import Rows
from xpo.reward.explicit import Explicit
from xpo.sft.merged import Merged


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
