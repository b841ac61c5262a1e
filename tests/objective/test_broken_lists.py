"""Losses of lists with a mistake: the kit or the loops have to notice each."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn.functional import logsigmoid

from tests.objective.list_oracles import Oracle
from tests.objective.test_lists import LISTS, by_loop, loss, ranked
from tests.test_mutations import Call, caught, mutant, original
from xpo.contracts import Batch, Context, masked
from xpo.objective import lists
from xpo.objective.contrastive_imitation import ContrastiveImitation
from xpo.objective.lambda_logistic import LambdaLogistic
from xpo.objective.list_mle import ListMLE
from xpo.objective.logistic import Logistic
from xpo.objective.noise_contrastive_list import NoiseContrastiveList
from xpo.objective.pair_hinge import PairHinge
from xpo.objective.pair_logistic import PairLogistic
from xpo.objective.point_squared import PointSquared
from xpo.objective.softmax import Softmax
from xpo.objective.softmax_reverse_kl import SoftmaxReverseKL
from xpo.testing import toy


def _mean_over_pairs(self: Any, reward_BK: Tensor, batch: Batch, context: Context) -> Tensor:
    return Logistic()(reward_BK, batch, context)


def _every_pair_counted_twice(self: Any, reward_BK: Tensor, batch: Batch, context: Context) -> Tensor:
    return 2 * original(self, reward_BK, batch, context)


def _absent_ones_count(self: Any, reward_BK: Tensor, batch: Batch, context: Context) -> Tensor:
    every = dataclasses.replace(batch, mask_BKT=torch.ones_like(batch.mask_BKT))
    return original(self, masked(reward_BK, batch.present_BK), every, context)


def _forward_kl(self: Any, reward_BK: Tensor, batch: Batch, context: Context) -> Tensor:
    reward_BK, score_BK = self.read(reward_BK, batch)
    return SoftmaxReverseKL()(score_BK, dataclasses.replace(batch, score_BK=reward_BK), context)


def _weight_without_gradient(self: Any, reward_BK: Tensor, batch: Batch, context: Context) -> Tensor:
    reward_BK, score_BK = self.read(reward_BK, batch)
    there = batch.present_BK
    ratio_BK = lists.log_softmax(reward_BK, there) - lists.log_softmax(score_BK, there)
    return (lists.softmax(reward_BK, there).detach() * ratio_BK).sum(1)


def _noise_is_summed(self: Any, reward_BK: Tensor, batch: Batch, context: Context) -> Tensor:
    reward_BK, score_BK = self.read(reward_BK, batch)
    data_BK = lists.softmax(score_BK, batch.present_BK) * logsigmoid(reward_BK)
    return -(data_BK + masked(logsigmoid(-reward_BK), batch.present_BK)).sum(1)


def _without_the_last_ones(self: Any, reward_BK: Tensor, batch: Batch, context: Context) -> Tensor:
    """Only the response just below, as if the others had been drawn already."""
    prefer_BKK = batch.prefer_BKK
    assert prefer_BKK is not None
    below_BKK = prefer_BKK > prefer_BKK.transpose(1, 2)
    next_BKK = below_BKK & (below_BKK.sum(2)[:, None, :] == below_BKK.sum(2)[:, :, None] - 1)
    return original(self, reward_BK, dataclasses.replace(batch, prefer_BKK=next_BKK.double()), context)


def _summed(self: Any, reward_BK: Tensor, batch: Batch, context: Context) -> Tensor:
    return original(self, reward_BK, batch, context) * batch.present_BK.sum(1)


def _places_by_label(self: Any, reward_BK: Tensor, batch: Batch, context: Context) -> Tensor:
    return (
        original(self, 0 * reward_BK, batch, context) + 0 * reward_BK.sum(1) + _gapped(self, reward_BK, batch)
    )


def _gapped(self: Any, reward_BK: Tensor, batch: Batch) -> Tensor:
    return original(self, reward_BK, batch, Context()) - original(self, reward_BK.detach(), batch, Context())


def _clamped_one_by_one(self: Any, reward_BK: Tensor, batch: Batch, context: Context) -> Tensor:
    one = [
        original(self, reward_BK[:, pair], _only(batch, pair), context) for pair in ([0, 1], [0, 2], [1, 2])
    ]
    return torch.stack(one).mean(0)


def _only(batch: Batch, pair: list[int]) -> Batch:
    assert batch.score_BK is not None
    return dataclasses.replace(batch, mask_BKT=batch.mask_BKT[:, pair], score_BK=batch.score_BK[:, pair])


BROKEN: list[tuple[Any, Call]] = [
    (PairLogistic(), _mean_over_pairs),
    (PairHinge(), _every_pair_counted_twice),
    (Softmax(), _forward_kl),
    (Softmax(), _absent_ones_count),
    (SoftmaxReverseKL(), _forward_kl),
    (SoftmaxReverseKL(), _weight_without_gradient),
    (NoiseContrastiveList(), _noise_is_summed),
    (NoiseContrastiveList(), _absent_ones_count),
    (PointSquared(), _summed),
    (ListMLE(), _without_the_last_ones),
    (LambdaLogistic(), _places_by_label),
    (ContrastiveImitation(), _clamped_one_by_one),
    (ContrastiveImitation(), _absent_ones_count),
]


@pytest.mark.parametrize(
    ("objective", "call"), BROKEN, ids=lambda v: getattr(v, "__name__", type(v).__name__)
)
def test_kit_or_loop_catches_mistakes(objective: Any, call: Call) -> None:
    oracle: Oracle = next(oracle for known, oracle in LISTS if known == objective)
    t, broken = ranked(toy(rows=3)), mutant(objective, call)
    agrees = torch.allclose(loss(broken, t), by_loop(oracle, t), rtol=1e-7)
    assert torch.allclose(loss(mutant(objective, original), t), by_loop(oracle, t), rtol=1e-7)
    assert not agrees or caught(broken, "objective") != []
