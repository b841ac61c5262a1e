"""Losses of whole lists against loops, hand-computed numbers, and reductions to pairs."""

from __future__ import annotations

import dataclasses
import itertools
import math
from collections.abc import Sequence
from typing import Any

import pytest
import torch
from torch import Tensor

from tests.objective import list_oracles as oracles
from tests.objective.list_oracles import Oracle
from xpo.contracts import Context
from xpo.label_noise.smoothing import Smoothing
from xpo.objective.contrastive_imitation import ContrastiveImitation
from xpo.objective.hinge import Hinge
from xpo.objective.lambda_logistic import LambdaLogistic
from xpo.objective.list_mle import ListMLE
from xpo.objective.logistic import Logistic
from xpo.objective.noise_contrastive_list import NoiseContrastiveList
from xpo.objective.pair_hinge import PairHinge
from xpo.objective.pair_logistic import PairLogistic
from xpo.objective.point_squared import PointSquared
from xpo.objective.preference_ranking import PreferenceRanking
from xpo.objective.softmax import Softmax
from xpo.objective.softmax_reverse_kl import SoftmaxReverseKL
from xpo.testing import Toy, failures, toy

LISTS: list[tuple[Any, Oracle]] = [
    (Softmax(), oracles.softmax),
    (SoftmaxReverseKL(), oracles.softmax_reverse_kl),
    (NoiseContrastiveList(), oracles.noise_contrastive),
    (PointSquared(), oracles.point_squared),
    (ListMLE(), oracles.plackett_luce),
    (PairLogistic(), oracles.pair_logistic),
    (PairHinge(), oracles.pair_hinge(1.0)),
    (PairHinge(0.0), oracles.pair_hinge(0.0)),
    (LambdaLogistic(), oracles.lambda_logistic),
    (ContrastiveImitation(), oracles.contrastive(1.0, oracles.mean)),
    (ContrastiveImitation(0.3, "max"), oracles.contrastive(0.3, max)),
    (PreferenceRanking(), oracles.preference_ranking),
]
OBJECTIVES = [objective for objective, _ in LISTS]


def ranked(t: Toy) -> Toy:
    """The comparisons that follow from the scores; every response counts alike."""
    score, present = t.batch.score_BK, t.batch.present_BK
    assert score is not None
    above = (score[:, :, None] > score[:, None, :]) & present[:, :, None] & present[:, None, :]
    prefer = above.to(score.dtype) / above.sum((1, 2), keepdim=True).clamp(min=1)
    return t.replace(prefer_BKK=prefer, mass_BK=None)


def listed(rewards: Sequence[float], scores: Sequence[float]) -> Toy:
    """One row."""
    t = toy(rows=1, responses=len(rewards), ragged=False)
    t = t.replace(score_BK=torch.tensor([scores], dtype=torch.float64))
    return ranked(dataclasses.replace(t, reward_BK=torch.tensor([rewards], dtype=torch.float64)))


def loss(objective: Any, t: Toy) -> Tensor:
    return objective(t.reward_BK, t.batch, Context())


def slopes(objective: Any, t: Toy) -> list[float]:
    leaf = t.reward_BK.clone().requires_grad_()
    objective(leaf, t.batch, Context()).sum().backward()
    assert leaf.grad is not None
    return leaf.grad[0].tolist()


def by_loop(oracle: Oracle, t: Toy) -> Tensor:
    """The oracle on every row, over the responses that are there."""
    there = t.batch.present_BK
    assert t.batch.score_BK is not None
    rows = zip(t.reward_BK, t.batch.score_BK, there, strict=True)
    found = [oracle(reward[is_there].tolist(), score[is_there].tolist()) for reward, score, is_there in rows]
    return torch.tensor(found, dtype=torch.float64)


@pytest.mark.parametrize(("objective", "oracle"), LISTS, ids=lambda v: repr(v) if not callable(v) else None)
@pytest.mark.parametrize("seed", [0, 1])
@pytest.mark.parametrize("responses", [1, 2, 3, 5])
def test_loop_oracle(objective: Any, oracle: Oracle, seed: int, responses: int) -> None:
    for rows in (1, 3):
        t = ranked(toy(rows=rows, responses=responses, seed=seed))
        torch.testing.assert_close(loss(objective, t), by_loop(oracle, t), rtol=1e-7, atol=1e-12)


@pytest.mark.parametrize("objective", OBJECTIVES, ids=repr)
def test_kit_with_these_fields(objective: Any) -> None:
    assert failures(objective, "objective") == []


def test_values_by_hand():
    """Equal rewards, scores 2, 1, 0; then rewards ln 1, ln 2, ln 5."""
    start = listed([0.0, 0.0, 0.0], [2.0, 1.0, 0.0])
    assert loss(ListMLE(), start).item() == pytest.approx(math.log(6))
    assert loss(Softmax(), start).item() == pytest.approx(math.log(3))
    # ln(e^2 + e + 1) = 2.40760596, minus the mean score 1 and ln 3
    assert loss(SoftmaxReverseKL(), start).item() == pytest.approx(2.40760596 - 1 - 1.09861229)
    assert loss(NoiseContrastiveList(), start).item() == pytest.approx(2 * math.log(2))
    assert loss(PointSquared(), start).item() == pytest.approx(5 / 3)
    assert loss(PairLogistic(), start).item() == pytest.approx(3 * math.log(2))
    assert loss(PairHinge(0.5), start).item() == 1.5
    assert loss(ContrastiveImitation(2.0), start).item() == 3.0
    assert loss(ContrastiveImitation(2.0, "max"), start).item() == 4.0
    # gains 2, 2^0.5, 1; 1 / ln 2, 1 / ln 3, 1 / ln 4: 0.31190539 + 0.72134752 + 0.07824151
    assert loss(LambdaLogistic(), start).item() == pytest.approx(1.11149442 * math.log(2), abs=1e-7)
    uneven = listed([0.0, math.log(2), math.log(5)], [2.0, 1.0, 0.0])
    assert loss(ListMLE(), uneven).item() == pytest.approx(-math.log(1 / 8 * 2 / 7))
    assert loss(PairHinge(0.0), uneven).item() == pytest.approx(math.log(2) + math.log(5) + math.log(2.5))
    # placed 3, 2, 1 by the rewards
    expected = 0.11065020 * math.log(3) + 0.72134752 * math.log(6) + 0.22055042 * math.log(3.5)
    assert loss(LambdaLogistic(), uneven).item() == pytest.approx(expected, abs=1e-7)


def test_two_responses_are_a_pair():
    t = ranked(toy(rows=5, responses=2, ragged=False))
    hard = t.replace(score_BK=1e4 * t.batch.score_BK)  # pyright: ignore
    dpo = loss(Logistic(), t)
    for objective, rows in ((ListMLE(), t), (PairLogistic(), t), (Softmax(), hard)):
        torch.testing.assert_close(loss(objective, rows), dpo)
    torch.testing.assert_close(loss(PairHinge(0.7), t), loss(Hinge(0.7), t))
    torch.testing.assert_close(loss(ContrastiveImitation(1e-9), t), loss(Hinge(0.0), t), atol=1e-8, rtol=0)


def test_the_cross_entropy_of_smoothed_labels_is_cdpo():
    """Two scores whose softmax is (1 - 0.1, 0.1)."""
    t = listed([0.7, -0.4], [math.log(9), 0.0])
    smoothed = t.replace(prefer_BKK=Smoothing(0.1)(t.batch).prefer_BKK)
    torch.testing.assert_close(loss(Softmax(), t), loss(Logistic(), smoothed))


def test_noise_contrast_of_a_certain_pair():
    t = listed([0.7, -0.4], [1e4, 0.0])
    first, second = math.log1p(math.exp(-0.7)), math.log1p(math.exp(0.4)) - 0.4
    expected = first + 0.5 * (first + 0.7) + 0.5 * second  # -ln sigmoid(r_w), then of -r_w and -r_l, halved
    assert loss(NoiseContrastiveList(), t).item() == pytest.approx(expected)


@pytest.mark.parametrize("pairs", [PairLogistic(), PairHinge(0.4)], ids=repr)
def test_a_list_is_as_much_as_its_pairs(pairs: Any) -> None:
    rewards, scores = [0.3, -0.8, 1.1, 0.2], [3.0, 2.0, 2.0, 1.0]
    alone = [
        loss(pairs, listed([rewards[i], rewards[j]], [scores[i], scores[j]])).item()
        for i, j in itertools.combinations(range(4), 2)
    ]
    assert alone[3] == 0.0  # a tie
    assert loss(pairs, listed(rewards, scores)).item() == pytest.approx(sum(alone))


def test_the_weight_of_a_pair_has_no_gradient():
    rewards, scores = [0.3, -0.8, 1.1], [2.0, 3.0, 1.0]
    expected = [0.0, 0.0, 0.0]
    for (i, j), delta in oracles.deltas(rewards, scores).items():
        slope = delta / (1 + math.exp(rewards[i] - rewards[j]))
        expected[i] -= slope
        expected[j] += slope
    assert slopes(LambdaLogistic(), listed(rewards, scores)) == pytest.approx(expected)


def test_win_rates_are_labels_where_comparisons_are_probabilities():
    """psi is 1/2 (0.8 + 0.6), ... = 0.7, 0.45, 0.35; places 1, 2, 3."""
    t = listed([0.3, 0.2, 0.1], [2.0, 1.0, 0.0])
    prefer = torch.tensor([[[0.0, 0.8, 0.6], [0.2, 0.0, 0.7], [0.4, 0.3, 0.0]]], dtype=torch.float64) / 3
    gain, discount = [2**0.7, 2**0.45, 2**0.35], [1 / math.log(2), 1 / math.log(3), 1 / math.log(4)]
    expected = sum(
        (gain[i] - gain[j]) * (discount[i] - discount[j]) * math.log1p(math.exp(-0.1 * (j - i)))
        for i, j in ((0, 1), (0, 2), (1, 2))
    )
    assert loss(LambdaLogistic(), t.replace(prefer_BKK=prefer)).item() == pytest.approx(expected)


def test_cross_entropy_and_reverse_kl_are_least_at_the_scores():
    scores = [1.2, -0.5, 0.1, 2.0]
    at_scores = listed([s + 0.7 for s in scores], scores)
    assert loss(SoftmaxReverseKL(), at_scores).item() == pytest.approx(0.0, abs=1e-12)
    for objective in (Softmax(), SoftmaxReverseKL()):
        assert slopes(objective, at_scores) == pytest.approx([0.0] * 4, abs=1e-12)


def test_sorting_by_the_reversed_cumulative_sum_gives_the_same():
    t = ranked(toy(rows=4, responses=6, ragged=False))
    assert t.batch.score_BK is not None
    order = t.batch.score_BK.argsort(1, descending=True)
    sorted_BK = t.reward_BK.gather(1, order)
    left_BK = sorted_BK.flip(1).logcumsumexp(1).flip(1)
    torch.testing.assert_close(loss(ListMLE(), t), (left_BK - sorted_BK).sum(1))


@pytest.mark.parametrize("strength", [0.0, -1.0, math.inf, math.nan])
def test_ranges(strength: float) -> None:
    with pytest.raises(ValueError, match="strength must be above 0 and finite"):
        ContrastiveImitation(strength)
    if strength == strength and strength != 0:
        with pytest.raises(ValueError, match="delta must be at least 0"):
            PairHinge(strength)
