"""Every policy gradient's loss before the first update, through the real collector, collator and module."""

from __future__ import annotations

import pytest

from tests.on_policy.first_losses import FIRST, Told
from tests.on_policy.hand import EOS, Hand, composed, logps
from xpo.compose import presets

OF_PARTS = {"prm_rl", "fine_grained_rlhf"}
GAMES = {"nash_md", "nash_ema"}  # tests/on_policy/test_players.py
ANSWERS = [
    [[5, EOS], [6, 7, 8, 9, EOS], [EOS]],
    [[7, 7, EOS], [3, EOS], [5, 5, 5, EOS]],
    [[8, 9, 10, 3, 4, EOS], [4, EOS], [9, 9, EOS]],
    [[3, 3, 3, EOS], [9, 8, EOS], [10, EOS]],
]
SCORES = [[1.0, 3.0, 0.5], [-1.0, 0.5, 2.0], [2.0, 2.5, 2.25], [0.0, 4.0, -2.0]]
COSTS = [[0.5, -1.0, 2.0], [1.0, 1.5, -0.5], [0.25, -2.0, 1.0], [0.0, 1.0, 3.0]]


def gradients() -> list[str]:
    return [name for name in presets() if composed(f"algo={name}").objective.policy_gradient]


def test_every_policy_gradient_is_in_the_table() -> None:
    assert set(FIRST) | OF_PARTS | GAMES == set(gradients())


@pytest.mark.parametrize("preset", FIRST)
def test_first_loss(preset: str) -> None:
    parts = composed(f"algo={preset}")
    K = 1 if parts.arity.sizes == (1, 1) else 3
    answers = [[list(response) for response in row[:K]] for row in ANSWERS]
    scores, costs = [row[:K] for row in SCORES], [row[:K] for row in COSTS]
    told = [
        Told([logps([1, 11 + b], response) for response in row], scores[b], costs[b])
        for b, row in enumerate(answers)
    ]
    once = ("schedule.epochs=1", "schedule.minibatches=1")
    hand = Hand((f"algo={preset}", *once), answers, scores, costs if parts.constraint.applies else ())
    assert hand.loss()[0] == pytest.approx(FIRST[preset](told), rel=1e-4, abs=1e-5)
