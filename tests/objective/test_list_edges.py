"""Losses of whole lists where responses tie, rewards are equal or extreme, and in any order."""

from __future__ import annotations

import itertools
import math
from typing import Any

import pytest
import torch

from tests.objective.test_lists import OBJECTIVES, listed, loss, slopes
from xpo.objective.contrastive_imitation import ContrastiveImitation
from xpo.objective.list_mle import ListMLE
from xpo.objective.noise_contrastive_list import NoiseContrastiveList
from xpo.objective.point_squared import PointSquared
from xpo.objective.softmax import Softmax
from xpo.objective.softmax_reverse_kl import SoftmaxReverseKL

SOFT = Softmax | SoftmaxReverseKL | NoiseContrastiveList | PointSquared


@pytest.mark.parametrize("objective", [o for o in OBJECTIVES if not isinstance(o, SOFT)], ids=repr)
def test_a_list_in_which_all_tie_says_nothing(objective: Any) -> None:
    tied = listed([0.3, -0.8, 1.1], [2.0, 2.0, 2.0])
    assert loss(objective, tied).item() == pytest.approx(0.0, abs=1e-12)
    assert slopes(objective, tied) == pytest.approx([0.0, 0.0, 0.0], abs=1e-12)


@pytest.mark.parametrize("objective", [Softmax(), SoftmaxReverseKL()], ids=repr)
def test_ties_share_their_label(objective: Any) -> None:
    tied = listed([0.4, 0.4, 0.4], [2.0, 2.0, 2.0])
    assert slopes(objective, tied) == pytest.approx([0.0, 0.0, 0.0], abs=1e-12)
    assert loss(SoftmaxReverseKL(), tied).item() == pytest.approx(0.0, abs=1e-12)


def test_ties_are_not_ranked_against_each_other():
    """The first two tie: each is drawn from itself and the last."""
    t = listed([0.0, math.log(3), math.log(2)], [1.0, 1.0, 0.0])
    assert loss(ListMLE(), t).item() == pytest.approx(-math.log(1 / 3) - math.log(3 / 5))
    # the best stand together as their mean, and the last has the place of nobody
    best = math.log(3) / 2
    assert loss(ContrastiveImitation(2.0), t).item() == pytest.approx(math.log(2) - best + 2.0)


@pytest.mark.parametrize("objective", OBJECTIVES, ids=repr)
@pytest.mark.parametrize("scores", [[2.0, 1.0, 0.0], [2.0, 2.0, 0.0], [0.0, 1.0, 1.0]], ids=str)
@pytest.mark.parametrize("rewards", [[0.0, 0.0, 0.0], [0.5, 0.5, -1.0], [0.1, 0.2, 0.3]], ids=str)
def test_order_does_not_matter_with_ties_either(
    objective: Any, scores: list[float], rewards: list[float]
) -> None:
    expected, slope = loss(objective, listed(rewards, scores)), slopes(objective, listed(rewards, scores))
    for order in itertools.permutations(range(3)):
        moved = listed([rewards[k] for k in order], [scores[k] for k in order])
        torch.testing.assert_close(loss(objective, moved), expected)
        assert slopes(objective, moved) == pytest.approx([slope[k] for k in order], abs=1e-12)


@pytest.mark.parametrize("objective", OBJECTIVES, ids=repr)
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("rewards", [[-800.0, 900.0, 0.0], [0.0, 0.0, 2e4], [3e4, -3e4, 0.0]], ids=str)
def test_large_rewards_and_scores_stay_finite(
    objective: Any, dtype: torch.dtype, rewards: list[float]
) -> None:
    for scores in ([2.0, 1.0, 0.0], [1e4, 0.0, -1e4]):
        t = listed(rewards, scores).to(dtype)
        assert torch.isfinite(loss(objective, t)).all()
        assert all(map(math.isfinite, slopes(objective, t)))
