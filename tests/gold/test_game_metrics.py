"""Exploitability and its kin: rock, paper, scissors by hand, grids, and another way to the Nash policy."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

import xpo.gold.game_metrics as metrics
from xpo.gold.game import Game
from xpo.gold.game_metrics import (
    beats,
    duality_gap,
    exploitability,
    regularised_gap,
    regularised_nash,
    relative_entropy,
)


def of(*rows: list[float]) -> Tensor:
    """Policies of probabilities, one for each prompt."""
    return torch.tensor(rows, dtype=torch.float64).log()


CYCLE = torch.tensor([[[0.5, 0.1, 0.9], [0.9, 0.5, 0.1], [0.1, 0.9, 0.5]]], dtype=torch.float64)  # P beats R
CONDORCET = Game(prompts=1, symbols=5, max_symbols=1).win_CC[None]  # y*, z, R, P, S


def test_rock_paper_scissors_by_hand() -> None:
    """Paper beats rock .9; against half rock, half paper, paper wins (.9 + .5) / 2."""
    assert exploitability(CYCLE, of([1, 0, 0])) == pytest.approx(0.4)
    assert exploitability(CYCLE, of([1 / 3] * 3)) == pytest.approx(0)
    assert exploitability(CYCLE, of([0.5, 0.5, 0])) == pytest.approx(0.2)
    assert beats(CYCLE, of([0.5, 0.3, 0.2]))[0].tolist() == pytest.approx([0.46, 0.62, 0.42])


def test_condorcet_by_hand() -> None:
    """Whoever always says z loses .8 of the time to y*; half and half of both .65."""
    assert exploitability(CONDORCET, of([1, 0, 0, 0, 0])) == pytest.approx(0)
    assert exploitability(CONDORCET, of([0, 1, 0, 0, 0])) == pytest.approx(0.3)
    assert exploitability(CONDORCET, of([0.5, 0.5, 0, 0, 0])) == pytest.approx(0.15)
    assert exploitability(CONDORCET, of([0, 0, 1 / 3, 1 / 3, 1 / 3])) == pytest.approx(0.45)


def test_prompts_count_alike() -> None:
    both = CYCLE.expand(2, -1, -1)
    assert exploitability(both, of([1, 0, 0], [1 / 3] * 3)) == pytest.approx(0.2)


def test_the_duality_gap_is_of_two_players() -> None:
    """Who says z against who says y*: the first could win .3 more, the second nothing; turned round alike."""
    best, z = of([1, 0, 0, 0, 0]), of([0, 1, 0, 0, 0])
    assert duality_gap(CONDORCET, z, best) == pytest.approx(0.3)
    assert duality_gap(CONDORCET, best, z) == pytest.approx(0.3)
    assert duality_gap(CONDORCET, best, best) == pytest.approx(0)
    # rock against paper: scissors would beat paper .9, and rock beats paper .1 of the time
    assert duality_gap(CYCLE, of([1, 0, 0]), of([0, 1, 0])) == pytest.approx(0.9 - 0.1)


def test_of_one_policy_the_duality_gap_is_twice_the_exploitability() -> None:
    generator = torch.Generator().manual_seed(0)
    for _ in range(5):
        policy = torch.log_softmax(torch.randn(1, 5, generator=generator, dtype=torch.float64), 1)
        assert duality_gap(CONDORCET, policy) == pytest.approx(2 * exploitability(CONDORCET, policy))


def test_relative_entropy_of_what_is_never_said() -> None:
    assert relative_entropy(of([1, 0, 0]), of([0.25, 0.5, 0.25])).tolist() == pytest.approx([math.log(4)])
    assert relative_entropy(of([0.5, 0.5, 0]), of([0.5, 0.5, 0])).tolist() == [0]


def test_the_regularised_gap_by_a_grid() -> None:
    """Two responses, the first of which wins .8: every q there is, by thousandths."""
    win = torch.tensor([[[0.5, 0.8], [0.2, 0.5]]], dtype=torch.float64)
    ref, p, tau = (0.3, 0.7), (0.6, 0.4), 0.25

    def divergence(a: tuple[float, float]) -> float:
        return sum(x * math.log(x / y) for x, y in zip(a, ref, strict=True))

    best = -math.inf
    for step in range(1, 10_000):
        q = (step / 10_000, 1 - step / 10_000)
        wins = q[0] * (0.5 * p[0] + 0.8 * p[1]) + q[1] * (0.2 * p[0] + 0.5 * p[1])
        best = max(best, wins - 0.5 - tau * divergence(q) + tau * divergence(p))
    assert regularised_gap(win, of([*p]), of([*ref]), tau) == pytest.approx(best, abs=1e-7)


REF = of([0.1, 0.1, 0.3, 0.3, 0.2])


def descended(win: Tensor, ref: Tensor, tau: float) -> Tensor:
    """Mirror descent, a small step at a time."""
    found, rate = ref, 0.2 * tau
    for _ in range(20_000):
        wins = (win @ found.exp()[:, :, None])[..., 0]
        found = torch.log_softmax((1 - rate * tau) * found + rate * (tau * ref + wins), 1)
    return found


@pytest.mark.parametrize("win", [CONDORCET, CYCLE], ids=["condorcet", "cycle"])
def test_the_regularised_nash_policy_is_where_mirror_descent_ends(win: Tensor) -> None:
    ref = REF if win is CONDORCET else of([0.5, 0.3, 0.2])
    nash = regularised_nash(win, ref, 0.2)
    assert torch.allclose(nash, descended(win, ref, 0.2), atol=1e-6)


@pytest.mark.parametrize("tau", [10.0, 1.0, 0.1, 0.02, 0.001])
def test_the_regularised_gap_is_0_there_alone(tau: float) -> None:
    generator = torch.Generator().manual_seed(1)
    nash = regularised_nash(CONDORCET, REF, tau)
    assert regularised_gap(CONDORCET, nash, REF, tau) == pytest.approx(0, abs=1e-12)
    for size in (0.1, 1.0):
        for _ in range(10):
            noise = size * torch.randn(1, 5, generator=generator, dtype=torch.float64)
            moved = torch.log_softmax(nash + noise, 1)
            least = 1e-9 if tau > 0.001 else 0  # there one response is all that is said
            assert regularised_gap(CONDORCET, moved, REF, tau) >= least
    if tau < 1:
        assert regularised_gap(CONDORCET, of([0, 1, 0, 0, 0]), REF, tau) > 0.2


def test_random_games_of_many_prompts() -> None:
    generator = torch.Generator().manual_seed(2)
    odds = 4 * torch.randn(6, 8, 8, generator=generator, dtype=torch.float64)
    win = torch.sigmoid(odds - odds.mT)
    ref = torch.log_softmax(3 * torch.randn(6, 8, generator=generator, dtype=torch.float64), 1)
    for tau in (0.3, 0.01):
        assert regularised_gap(win, regularised_nash(win, ref, tau), ref, tau) == pytest.approx(0, abs=1e-10)


def test_without_a_penalty_worth_speaking_of_it_is_the_nash_policy() -> None:
    assert regularised_nash(CONDORCET, REF, 0.001).exp()[0, 0].item() == pytest.approx(1)
    uniform = regularised_nash(CYCLE, of([0.5, 0.3, 0.2]), 1e-4).exp()[0]
    assert uniform.tolist() == pytest.approx([1 / 3] * 3, abs=1e-3)
    assert exploitability(CONDORCET, regularised_nash(CONDORCET, REF, 0.02)) == pytest.approx(0.005, abs=5e-4)


@pytest.mark.parametrize("tau", [0.0, -1.0, math.inf, math.nan])
def test_tau_has_a_range(tau: float) -> None:
    with pytest.raises(ValueError, match="tau must be above 0 and finite"):
        regularised_nash(CONDORCET, REF, tau)


def turned(win_XNN: Tensor, logp_XN: Tensor) -> Tensor:
    """Deliberately broken: how often the policy wins, not who plays against it."""
    return beats(win_XNN.mT, logp_XN)


def test_a_broken_way_to_count_wins_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(metrics, "beats", turned)
    for check in (
        test_condorcet_by_hand,
        test_the_duality_gap_is_of_two_players,
        test_the_regularised_gap_by_a_grid,
        lambda: test_the_regularised_nash_policy_is_where_mirror_descent_ends(CONDORCET),
    ):
        with pytest.raises((AssertionError, ValueError)):  # Newton's steps lead nowhere
            check()


def test_a_penalty_with_the_wrong_sign_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(metrics, "relative_entropy", lambda a, b: -relative_entropy(a, b))
    for check in (
        test_the_regularised_gap_by_a_grid,
        lambda: test_the_regularised_gap_is_0_there_alone(0.1),
    ):
        with pytest.raises(AssertionError):
            check()
