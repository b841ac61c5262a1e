"""Ratings of a run's policies, by hand; kept and gone on with."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from xpo.stages import watch as file
from xpo.stages.watch import Ratings, elo

LEAD = math.log(3)  # nats: wins three games of four
POINTS = 400 / math.log(10) * LEAD  # 190.8


def test_a_lead_of_three_to_one() -> None:
    """The same lead over each prompt; the prior takes a little off it."""
    found = elo([[0.0] * 100, [LEAD] * 100, [2 * LEAD] * 100])
    assert found[0] == 0
    assert found[1] == pytest.approx(POINTS, rel=0.01) and found[2] == pytest.approx(2 * POINTS, rel=0.01)


def test_a_policy_that_wins_as_often_as_it_loses() -> None:
    assert elo([[0.0, 1.0], [1.0, 0.0]]) == pytest.approx([0, 0], abs=1e-9)


def test_wins_of_the_wrong_side_are_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    wins = file._wins
    monkeypatch.setattr(file, "_wins", lambda lead: wins(-lead))
    with pytest.raises(AssertionError):
        test_a_lead_of_three_to_one()


@dataclass
class Playing:
    """Another policy each time."""

    scores: list[list[float]] = field(default_factory=lambda: [[0.0] * 50, [LEAD] * 50, [-LEAD] * 50])
    asked: int = 0

    def played(self) -> list[float]:
        self.asked += 1
        return self.scores[self.asked - 1]


def test_what_was_played_is_kept(tmp_path: Path) -> None:
    path = tmp_path / "checkpoints" / "ratings.json"
    playing: Any = Playing()
    ratings = Ratings(playing, path)
    ratings.begin()
    assert ratings.add(1)["rounds/elo"] == pytest.approx(POINTS, rel=0.02)
    again = Ratings(playing, path)
    again.begin()
    assert playing.asked == 2, "the initial policy has played"
    assert again.add(2)["rounds/elo"] == pytest.approx(-POINTS, rel=0.02)


def test_a_round_that_is_done_again_plays_again(tmp_path: Path) -> None:
    path = tmp_path / "ratings.json"
    playing: Any = Playing([[0.0] * 50, [5.0] * 50, [9.0] * 50, [LEAD] * 50])
    ratings = Ratings(playing, path)
    ratings.begin()
    ratings.add(1)
    ratings.add(2)
    assert ratings.add(1)["rounds/elo"] == pytest.approx(POINTS, rel=0.02)
