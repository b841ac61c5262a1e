"""What is labelled next: by hand, by brute force, and by choices that are wrong on purpose."""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass

import numpy as np
import pytest
import torch
from torch import Tensor

from xpo.query.base import Told
from xpo.query.disagreement import Disagreement
from xpo.query.information import Information
from xpo.query.random import Random
from xpo.query.uncertain import Uncertain
from xpo.testing.checks import failures


def pair(*odds: float) -> Tensor:
    """Log-odds of two responses, one number for each member."""
    return torch.tensor([[[0.0, x], [-x, 0.0]] for x in odds])


def chosen(query, told, labelled=()):
    return query.choose(told, labelled, torch.Generator().manual_seed(0))


def test_uncertain_is_the_entropy_of_who_wins():
    three = pair(math.log(3))  # P = 3/4
    entropy = -(0.75 * math.log(0.75) + 0.25 * math.log(0.25))
    assert Uncertain().worth(three) == pytest.approx(entropy)
    assert Uncertain().worth(pair(0.0)) == pytest.approx(math.log(2))
    assert Uncertain().worth(pair(2.0, -2.0)) == pytest.approx(math.log(2))  # P averages to 1/2
    told = [Told(pair(x)) for x in (2.0, -0.1, 0.5, -3.0)]
    assert chosen(Uncertain(budget=3), told) == [1, 2, 0]
    assert chosen(Uncertain(budget=3, side="sure"), told) == [3, 0, 2]


def test_a_list_counts_the_mean_over_its_pairs():
    reward_K = torch.tensor([0.0, 1.0, 3.0])
    odds = (reward_K[:, None] - reward_K[None, :])[None]
    assert Uncertain(side="sure").worth(odds) == pytest.approx((1 + 3 + 2) / 3)


def test_disagreement_is_the_variance_over_members():
    p = pair(math.log(4), -math.log(4))  # 0.8 and 0.2
    assert Disagreement().worth(p) == pytest.approx(0.3**2)
    assert Disagreement().worth(pair(5.0, 5.0, 5.0)) == 0
    told = [Told(pair(3.0, 3.0)), Told(pair(1.0, -1.0)), Told(pair(0.2, -0.2))]
    assert chosen(Disagreement(budget=3), told) == [1, 2, 0]


def random_told(count, seed, size=2, width=4):
    draw = torch.Generator().manual_seed(seed)
    score_NK = torch.randn(count, size, generator=draw)
    feature_NKD = torch.randn(count, size, width, generator=draw)
    return [Told((s[:, None] - s[None, :])[None], f) for s, f in zip(score_NK, feature_NKD, strict=True)]


def square_of(told):
    assert told.feature_KD is not None
    return float((told.feature_KD[0] - told.feature_KD[1]).square().sum())


def information_of(told, unit):
    """sum of p (1 - p) f f' over a candidate's pairs, each pair an equal part."""
    assert told.feature_KD is not None
    size = len(told.feature_KD)
    found = np.zeros((told.feature_KD.shape[1],) * 2)
    for i in range(size):
        for j in range(i + 1, size):
            f = (told.feature_KD[i] - told.feature_KD[j]).double().numpy() / unit
            p = 1 / (1 + math.exp(-float(told.log_odds_MKK[0, i, j])))
            found += p * (1 - p) * np.outer(f, f) / (size * (size - 1) / 2)
    return found


def test_information_is_what_brute_force_finds():
    """For pairs the greedy log-determinant, as numpy computes it."""
    told, labelled = random_told(15, 0), random_told(6, 1)
    unit = math.sqrt(sum(square_of(t) for t in told) / len(told))
    h = 0.7 * np.eye(4) + sum(information_of(t, unit) for t in labelled)
    expected = []
    for _ in range(6):
        gains = [
            -1.0 if n in expected else np.linalg.slogdet(h + information_of(t, unit))[1]
            for n, t in enumerate(told)
        ]
        gains = [-math.inf if n in expected else gain for n, gain in enumerate(gains)]
        expected.append(int(np.argmax(gains)))
        h = h + information_of(told[expected[-1]], unit)
    assert chosen(Information(budget=6, ridge=0.7), told, labelled) == expected


def test_information_spreads_its_budget_where_a_ranking_repeats_itself():
    """Four copies of the longest difference, and others across it: one copy is enough."""
    even = torch.zeros(1, 2, 2)
    along, across = torch.tensor([[3.0, 0.0], [-3.0, 0.0]]), torch.tensor([[0.0, 1.0], [0.0, -1.0]])
    told = [*([Told(even, along)] * 4), Told(even, across)]
    first, second = chosen(Information(budget=2, ridge=0.01), told)
    assert first < 4 and second == 4


def test_a_random_choice_is_a_permutation_s_beginning():
    found = [Random(budget=4).drawn(9, torch.Generator().manual_seed(seed)) for seed in range(200)]
    counts = np.bincount(np.concatenate(found), minlength=9)
    assert counts.min() > 50 and counts.max() < 130  # 200 * 4 / 9 = 89


@pytest.mark.parametrize("budget", [0, -3])
def test_a_budget_is_at_least_one(budget):
    with pytest.raises(ValueError, match=f"budget must be at least 1, got {budget}"):
        Random(budget=budget)


@pytest.mark.parametrize("ridge", [0.0, -1.0, math.inf, math.nan])
def test_a_ridge_is_above_zero(ridge):
    with pytest.raises(ValueError, match="ridge must be above 0 and finite"):
        Information(ridge=ridge)


def test_one_response_has_no_pair():
    with pytest.raises(ValueError, match="at least 2"):
        Uncertain().worth(torch.zeros(1, 1, 1))


@dataclass(frozen=True)
class OneMore(Random):
    """Spends more than its budget."""

    def drawn(self, count: int, generator: torch.Generator) -> list[int]:
        return torch.randperm(count, generator=generator)[: self.budget + 1].tolist()


@dataclass(frozen=True)
class WithRepeats(Random):
    """Draws with replacement."""

    def drawn(self, count: int, generator: torch.Generator) -> list[int]:
        return torch.randint(count, (min(self.budget, count),), generator=generator).tolist()


@dataclass(frozen=True)
class OneSided(Uncertain):
    """Forgets that either of two may win."""

    def worth(self, log_odds_MKK: Tensor) -> float:
        return float(-log_odds_MKK.mean(0)[0, 1])


@dataclass(frozen=True)
class OfTheMean(Disagreement):
    """The spread of the mean, over responses instead of members."""

    def worth(self, log_odds_MKK: Tensor) -> float:
        return float(torch.sigmoid(log_odds_MKK).mean(0).var())


@dataclass(frozen=True)
class TheFirst(Uncertain):
    """The first of equal ones."""

    def choose(self, candidates, labelled, generator):
        worth = [self.worth(told.log_odds_MKK) for told in candidates]
        return sorted(range(len(worth)), key=lambda place: -worth[place])[: self.budget]


@dataclass(frozen=True)
class Forgetful(Information):
    """Does not read what is labelled."""

    def choose(self, candidates, labelled, generator):
        return super().choose(candidates, (), generator)


@pytest.mark.parametrize(
    ("broken", "check"),
    [
        (OneMore(), "keeps_to_the_budget"),
        (WithRepeats(), "keeps_to_the_budget"),
        (OneSided(), "order_does_not_matter"),
        (OfTheMean(), "members_that_agree_come_last"),
        (TheFirst(), "equal_ones_are_drawn"),
        (Forgetful(), "what_is_labelled_is_read"),
    ],
    ids=lambda value: type(value).__name__ if dataclasses.is_dataclass(value) else "",
)
def test_the_kit_catches_a_choice_that_is_wrong(broken, check):
    assert any(found.startswith(check) for found in failures(broken, "query"))
