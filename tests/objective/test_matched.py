"""Matching by rank: sorted lists in plain Python, every permutation, finite differences, broken variants."""

from __future__ import annotations

import dataclasses
import itertools
import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from tests.objective.oracles import softplus
from tests.stages.test_step_zero import composed
from tests.test_mutations import caught, mutant, original
from xpo.arrow import OffPolicy, Scores, Steps
from xpo.compose import Refused, build, compose_config
from xpo.contracts import Batch, Context
from xpo.objective.logistic import Logistic
from xpo.objective.matched_margins import MatchedMargins, in_shells
from xpo.objective.matched_rewards import MatchedRewards
from xpo.objective.matching import Samples, by_rank
from xpo.testing import Toy, toy
from xpo.testing.run_objective import context, step_of
from xpo.testing.run_objective import loss as loss_of

WEIGHTS = [2.0, 1.0, 3.0, 1.0]


def column(values: list[float]) -> Tensor:
    return torch.tensor(values, dtype=torch.float64)[:, None]


def labelled(rewards: list[float], good: list[bool], weights: list[float] | None = None) -> Toy:
    """Rows of one response."""
    t = toy(rows=len(rewards), responses=1, ragged=False)
    first = column([float(g) for g in good])
    weight_B = column(weights or [1.0] * len(rewards))[:, 0]
    t = t.replace(good_BK=first, bad_BK=1 - first, weight_B=weight_B)
    return dataclasses.replace(t, reward_BK=column(rewards))


def paired(policy: list[float], reference: list[float], weights: list[float] | None = None) -> Toy:
    """Hard pairs with these margins, rejected responses at 0; the kit's beta is 0.7."""
    t = toy(rows=len(policy), responses=2, tokens=1, ragged=False)
    hard = torch.tensor([[0.0, 1.0], [0.0, 0.0]], dtype=torch.float64).expand(len(policy), 2, 2)
    t = t.replace(prefer_BKK=hard, weight_B=column(weights or [1.0] * len(policy))[:, 0])
    gap = column(policy) - column(reference)
    ref = torch.cat([column(reference) / 0.7, torch.zeros_like(gap)], 1)[:, :, None]
    return dataclasses.replace(t, reward_BK=torch.cat([gap, 0 * gap], 1), ref_logp_BKT=ref)


def total(objective: Any, t: Toy, whole: Toy | None = None) -> Tensor:
    """The loss of the step."""
    return (t.batch.weight_B * loss_of(objective, t, whole)).sum() / t.batch.weight_B.sum()


def sorted_loss(own: list[float], other: list[float]) -> float:
    """The published one: sorted against sorted, equally many."""
    gaps = [a - b for a, b in zip(sorted(own), sorted(other), strict=True)]
    return sum(softplus(-gap) for gap in gaps) / len(gaps)


def repeated(values: list[float], times: list[float]) -> list[float]:
    return [value for value, count in zip(values, times, strict=True) for _ in range(int(count))]


def test_margins_by_hand():
    """Margins 3, 1, 2 against 0.5, 2.5, 1.5: every match is half a nat apart."""
    t = paired([3.0, 1.0, 2.0], [0.5, 2.5, 1.5])
    assert total(MatchedMargins(), t).item() == pytest.approx(0.4740769842)
    assert loss_of(MatchedMargins(), t).tolist() == pytest.approx([0.4740769842] * 3)
    each = [softplus(-(3.0 - 0.5)), softplus(-(1.0 - 2.5)), softplus(-(2.0 - 1.5))]  # of each row's own gap
    assert abs(sum(each) / 3 - 0.4740769842) > 0.1


def test_rewards_by_hand():
    """Good 1, -1 against bad 0, 2: gaps -1 - 0 and 1 - 2; each row has half of its match."""
    t = labelled([1.0, 0.0, -1.0, 2.0], [True, False, True, False])
    assert total(MatchedRewards(), t).item() == pytest.approx(1.3132616875)
    assert loss_of(MatchedRewards(), t).tolist() == pytest.approx([1.3132616875] * 4)


@pytest.mark.parametrize("seed", range(3))
def test_weights_are_repetitions(seed: int) -> None:
    random = torch.Generator().manual_seed(seed)
    policy, reference = torch.randn(2, 4, generator=random).tolist()
    expected = sorted_loss(repeated(policy, WEIGHTS), repeated(reference, WEIGHTS))
    assert total(MatchedMargins(), paired(policy, reference, WEIGHTS)).item() == pytest.approx(expected)
    # 2 + 3 good ones against 1 + 1 bad ones: repeated to ten each
    rewards = [*policy[:2], *reference[:2]]
    good = [True, False, True, False]
    own, other = [rewards[0], rewards[2]], [rewards[1], rewards[3]]
    expected = sorted_loss(repeated(own, [4, 6]), repeated(other, [5, 5]))
    assert total(MatchedRewards(), labelled(rewards, good, WEIGHTS)).item() == pytest.approx(expected)


def test_no_other_matching_is_cheaper():
    random = torch.Generator().manual_seed(4)
    policy, reference = torch.randn(2, 5, generator=random).tolist()
    found = total(MatchedMargins(), paired(policy, reference)).item()
    costs = [
        sum(softplus(-(a - b)) for a, b in zip(policy, order, strict=True)) / 5
        for order in itertools.permutations(reference)
    ]
    assert found == pytest.approx(min(costs)) and max(costs) > found + 0.01


@pytest.mark.parametrize(
    ("objective", "K"), [(MatchedMargins(), 3), (MatchedRewards(), 3), (MatchedRewards(), 1)]
)
def test_the_gradient_is_that_of_the_whole_step(objective: Any, K: int) -> None:
    """Against finite differences of a step that is matched anew."""
    t = toy(rows=4, responses=K)
    leaf = t.reward_BK.clone().requires_grad_()
    total(objective, dataclasses.replace(t, reward_BK=leaf), whole=t).backward()
    assert leaf.grad is not None
    for b, k in itertools.product(range(4), range(K)):
        ends = []
        for by in (1e-6, -1e-6):
            reward_BK = t.reward_BK.clone()
            reward_BK[b, k] += by
            ends.append(total(objective, dataclasses.replace(t, reward_BK=reward_BK)))
        assert leaf.grad[b, k].item() == pytest.approx(((ends[0] - ends[1]) / 2e-6).item(), abs=1e-7)


def test_a_pair_alone_is_dpo():
    t = toy(rows=1, responses=2, ragged=False)
    hard = torch.tensor([[[0.0, 1.0], [0.0, 0.0]]], dtype=torch.float64)
    t = t.replace(prefer_BKK=hard, good_BK=hard.sum(2) / 2, bad_BK=hard.sum(1) / 2)
    dpo = Logistic()(t.reward_BK, t.batch, Context())
    torch.testing.assert_close(loss_of(MatchedMargins(), t), dpo)
    torch.testing.assert_close(loss_of(MatchedRewards(), t), dpo)


def test_a_reference_with_equal_margins_makes_it_dpo():
    t = paired([0.3, -1.0, 2.0], [0.4, 0.4, 0.4])
    expected = [softplus(-(value - 0.4)) for value in (0.3, -1.0, 2.0)]
    assert loss_of(MatchedMargins(), t).tolist() == pytest.approx(expected)


def test_one_label_alone_is_held_against_the_reference():
    good = labelled([0.5, -0.25], [True, True])
    assert total(MatchedRewards(), good).item() == pytest.approx((softplus(-0.5) + softplus(0.25)) / 2)
    bad = labelled([0.5, -0.25], [False, False])
    assert total(MatchedRewards(), bad).item() == pytest.approx((softplus(0.5) + softplus(-0.25)) / 2)


@pytest.mark.parametrize("preset", ["aot", "aot_unpaired"])
def test_the_whole_preset_at_the_reference(preset: str) -> None:
    composition = composed(f"algo={preset}")
    arrow = OffPolicy.of(composition, composition.reference.given)
    t = toy(rows=5, responses=2)
    t = t.replace(totals=dataclasses.replace(t.batch.totals, rows=float(t.batch.weight_B.sum())))
    scores = Scores(t.logp_BKT, t.logp_BKT)
    table = arrow.observed(t.batch, scores)
    step = dataclasses.replace(step_of(arrow.objective, t), values_NF=table)
    assert arrow(t.batch, scores, Steps(step)).share.item() == pytest.approx(math.log(2))


def test_shells_do_not_depend_on_padding():
    table = torch.arange(16).view(1, 4, 4)
    for K in (1, 2, 3):
        assert in_shells(table[:, :K, :K])[0].tolist() == in_shells(table)[0, : K * K].tolist()
    assert sorted(in_shells(table)[0].tolist()) == list(range(16))


def test_matching_of_unequal_masses_by_hand():
    """Masses 1, 3 against 2, 2: the second meets both."""
    own = Samples(column([0.0, 1.0]), column([1.0, 3.0]))
    other = Samples(column([5.0, 4.0]), column([2.0, 2.0]))
    found = by_rank(own, other)
    pieces = zip(found.own_S.tolist(), found.other_S.tolist(), found.share_S.tolist(), strict=True)
    assert list(pieces) == [(0, 1, 1.0), (1, 1, pytest.approx(1 / 3)), (1, 0, pytest.approx(2 / 3))]


@pytest.mark.parametrize(
    ("overrides", "words"),
    [
        (["algo=aot", "reference=none"], "has none: it would be the loss of each row's own margin"),
        (["algo=aot", "divergence=js"], "acts on their ratio"),
        (["algo=aot", "label_noise=flips"], "label_noise=flips"),
        (["algo=aot", "weighting=log_mean_exp", "data.mode=sampled"], "matches the rows of a step"),
        (["algo=aot_unpaired", "divergence=js"], "constant of the prompt"),
    ],
)
def test_combinations_without_meaning(overrides: list[str], words: str) -> None:
    with pytest.raises(Refused, match=words):
        build(compose_config(overrides))


# --- broken variants ------------------------------------------------------------------------------------


def _unsorted(self: Any, reward_BK: Tensor, batch: Batch, context: Context) -> Tensor:
    return Logistic()(reward_BK, batch, context)  # each row's own gap


def _reversed(self: Any, reward_BK: Tensor, batch: Batch, context: Context) -> Tensor:
    values = context.step.values_NF.view(len(context.step.values_NF), -1, 3).clone()  # type: ignore[union-attr]
    values[..., 1] *= -1  # the largest against the smallest
    step = dataclasses.replace(context.step, values_NF=values.flatten(1))  # type: ignore[type-var]
    return original(self, reward_BK, batch, dataclasses.replace(context, step=step))


def _one_side_pushed(self: Any, reward_BK: Tensor, batch: Batch, context: Context) -> Tensor:
    detached = dataclasses.replace(batch, bad_BK=torch.zeros_like(reward_BK))
    return original(self, reward_BK, detached, context)


def _counted_twice(self: Any, reward_BK: Tensor, batch: Batch, context: Context) -> Tensor:
    return 2 * original(self, reward_BK, batch, context)


def _half_a_gradient(self: Any, reward_BK: Tensor, batch: Batch, context: Context) -> Tensor:
    return original(self, (reward_BK + reward_BK.detach()) / 2, batch, context)


@pytest.mark.parametrize(
    ("objective", "call"),
    [
        (MatchedMargins(), _unsorted),
        (MatchedMargins(), _reversed),
        (MatchedMargins(), _half_a_gradient),
        (MatchedRewards(), _one_side_pushed),
        (MatchedRewards(), _counted_twice),
        (MatchedRewards(), _half_a_gradient),
    ],
    ids=lambda v: getattr(v, "__name__", type(v).__name__),
)
def test_mistakes_are_caught(objective: Any, call: Callable[..., Tensor]) -> None:
    broken = mutant(objective, call)
    if isinstance(objective, MatchedMargins):
        t, expected = paired([3.0, 1.0, 2.0], [0.5, 2.5, 1.5]), 0.4740769842
    else:
        t, expected = labelled([1.0, 0.0, -1.0, 2.0], [True, False, True, False]), 1.3132616875
    agrees = total(broken, t).item() == pytest.approx(expected)
    assert not agrees or caught(broken, "objective") != []


def test_context_has_no_reference_unless_it_is_read():
    t = toy()
    with pytest.raises(ValueError, match="a reference"):
        loss_of(MatchedMargins(), t, reference_BK=None)
    assert context(MatchedMargins(), t).reference_BK is not None
