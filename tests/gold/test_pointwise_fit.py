"""What scores make of a game: Bradley and Terry's fit, against what is known and what is likelier."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

import xpo.gold.game as game_module
from tests.gold.test_game import NAMES, condorcet, expected, kinds, swapped
from xpo.gold.game import pointwise_fit
from xpo.gold.game_metrics import exploitability


def test_scores_that_are_there_are_found() -> None:
    truth = torch.tensor([0.3, -1.2, 2.0, 0.0], dtype=torch.float64)
    mass = torch.tensor([0.1, 0.2, 0.3, 0.4], dtype=torch.float64)
    found = pointwise_fit(torch.sigmoid(truth[:, None] - truth[None, :]), mass)
    assert (found - found[0]).tolist() == pytest.approx((truth - truth[0]).tolist(), abs=1e-10)
    assert float((mass * found).sum()) == pytest.approx(0, abs=1e-12)


def test_the_fit_is_the_likeliest_and_ranks_z_first() -> None:
    world = condorcet()
    mass = torch.tensor([0.1, 0.1, 0.3, 0.3, 0.2], dtype=torch.float64)

    def log_likelihood(reward: Tensor) -> float:
        found = 0.0
        for i, one in enumerate(NAMES):
            for j, other in enumerate(NAMES):
                odds = float(reward[i] - reward[j])
                found -= float(mass[i] * mass[j]) * expected(one, other) * math.log1p(math.exp(-odds))
        return found

    best, generator = log_likelihood(world.reward_C), torch.Generator().manual_seed(0)
    for size in (1e-3, 0.1, 1.0):
        for _ in range(20):
            noise = torch.randn(5, generator=generator, dtype=torch.float64)
            assert log_likelihood(world.reward_C + size * (noise - noise.mean())) < best
    order = [NAMES[c] for c in world.reward_C.argsort(descending=True).tolist()]
    assert order[:2] == ["z", "y*"]
    for x in range(world.prompts):
        top = world.reward_XN[x] == world.reward_XN[x].max()
        assert {kind for kind, best in zip(kinds(world, x), top.tolist(), strict=True) if best} == {"z"}


def test_whoever_is_sure_to_win_has_no_score() -> None:
    with pytest.raises(ValueError, match="is anyone sure to win"):
        pointwise_fit(torch.tensor([[0.5, 1.0], [0.0, 0.5]]), torch.tensor([0.5, 0.5]))


def test_one_shot_of_scores_is_exploitable_at_every_beta() -> None:
    world, found = condorcet(), []
    for power in range(-60, 41):
        beta = 10 ** (power / 20)
        tilted = torch.log_softmax(world.base_logp_XN + world.reward_XN / beta, 1)
        found.append(exploitability(world.win_XNN, tilted))
    assert min(found) >= 0.17
    assert found[0] == pytest.approx(0.3, abs=1e-6)  # z alone, whom y* beats
    assert min(found) == pytest.approx(0.173, abs=1e-3)


def test_a_fit_to_who_loses_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(game_module.RULES, "condorcet", swapped(game_module.RULES["condorcet"]))
    for check in (
        test_the_fit_is_the_likeliest_and_ranks_z_first,
        test_one_shot_of_scores_is_exploitable_at_every_beta,
    ):
        with pytest.raises(AssertionError):
            check()
