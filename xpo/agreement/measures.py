"""Numbers of agreement and of bias, each with its interval over prompts.

Each pair is looked at from both sides and in both orders with equal weight: no number depends on which
response stands first in the file (in a file of pairs that is always the chosen one).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from xpo.agreement.pairs import Pair, Scored, Single
from xpo.agreement.resample import Estimate, Sums, over_points, over_prompts

_Z = 1.959963984540054  # 97.5 % of a normal distribution


@dataclass(frozen=True)
class Bin:
    """Pairs, or single responses, with a probability of winning, or of being good, in ``low`` to ``high``."""

    low: float
    high: float
    pairs: float
    predicted: float  # mean probability
    observed: float  # how often the held-out label says so


def accuracy(items: Sequence[Pair | Single]) -> Estimate:
    """How often the annotator says what the label says; its tie is half right. Label ties do not count."""
    decided = [item for item in _said(items) if item.own != 0.5]
    return over_prompts(decided, lambda item: (_agreement(item), 1.0))


def kappa(items: Sequence[Pair | Single]) -> Estimate:
    """Cohen 1960 (Educ. Psychol. Meas. 20): agreement beyond chance; a tie is a class of its own."""
    said = _said(items)
    return over_prompts(said, lambda item: _table(item).ravel(), of=lambda sums: _kappa(sums.reshape(3, 3)))


def auc(items: Sequence[Single]) -> Estimate:
    """How often a good response has a higher score than a bad one, ties half: 0.5 is chance."""
    told = [item for item in items if item.score is not None]
    points_N2 = np.array([(item.own, item.score) for item in told], dtype=float)
    return over_points(told, points_N2, _auc)


def rank_correlation(items: Sequence[Scored]) -> Estimate:
    """Spearman 1904: of the annotator's scores with those of the rows."""
    points_N2 = np.array([(item.own, item.score) for item in items], dtype=float)
    return over_points(items, points_N2, lambda points: _correlation(*map(_ranks, points.T)))


def first_share(pairs: Sequence[Pair]) -> Estimate:
    """How often the response that stands first wins, ties half: 0.5 without position bias."""
    return over_prompts(pairs, lambda pair: ((pair.forward + 1 - pair.backward) / 2, 1.0))


def position_bias(pairs: Sequence[Pair]) -> Estimate:
    """How much oftener a response wins when it stands first than when it stands second: from -1 to 1."""
    return over_prompts(pairs, lambda pair: (pair.forward - pair.backward, 1.0))


def consistency(pairs: Sequence[Pair]) -> Estimate:
    """How often the same response wins in both orders (or both times none)."""
    return over_prompts(pairs, lambda pair: (float(pair.forward == pair.backward), 1.0))


def longer_wins(pairs: Sequence[Pair]) -> dict[str, Estimate]:
    """How often the longer response wins, ties half: for the annotator, the label, and the difference."""
    unlike = [pair for pair in pairs if pair.longer != 0.5]

    def found(pair: Pair) -> float:
        share = (pair.forward + pair.backward) / 2
        return share if pair.longer else 1 - share

    def own(pair: Pair) -> float:
        return pair.own if pair.longer else 1 - pair.own

    return {
        "annotator": over_prompts(unlike, lambda pair: (found(pair), 1.0)),
        "label": over_prompts(unlike, lambda pair: (own(pair), 1.0)),
        "difference": over_prompts(unlike, lambda pair: (found(pair) - own(pair), 1.0)),
    }


def calibration(items: Sequence[Pair | Single], bins: int = 10) -> tuple[list[Bin], float] | None:
    """Probability against frequency, and the expected calibration error; None without probabilities.

    The error is the mean over items of |mean probability - frequency| of an item's bin (Naeini et al. 2015).
    """
    points = [point for item in items for point in _points(item)]
    if not points:
        return None
    place_N = np.minimum((np.array([p for p, *_ in points]) * bins).astype(int), bins - 1)
    found = []
    for place in sorted(set(place_N.tolist())):
        here = np.array([points[n] for n in np.flatnonzero(place_N == place)])
        weight = here[:, 2]
        predicted, observed = (float(mean) for mean in weight @ here[:, :2] / weight.sum())
        found.append(Bin(place / bins, (place + 1) / bins, float(weight.sum()), predicted, observed))
    total = sum(one.pairs for one in found)
    return found, sum(one.pairs * abs(one.predicted - one.observed) for one in found) / total


def wilson(share: float, number: int) -> tuple[float, float]:
    """Wilson 1927 (JASA 22): the 95 % interval of a share of so many independent ones."""
    centre = share + _Z**2 / (2 * number)
    width = _Z * math.sqrt(share * (1 - share) / number + _Z**2 / (4 * number**2))
    scale = 1 + _Z**2 / number
    return (centre - width) / scale, (centre + width) / scale


def _auc(points_N2: Sums) -> float | None:
    good_N = points_N2[:, 0] == 1
    pairs = float(good_N.sum() * (~good_N).sum())
    above = float(_ranks(points_N2[:, 1])[good_N].sum()) - good_N.sum() * (good_N.sum() + 1) / 2
    return None if not pairs else above / pairs


def _ranks(values_N: Sums) -> Sums:
    """From 1; those that tie share the mean of theirs."""
    _, place_N, count_L = np.unique(values_N, return_inverse=True, return_counts=True)
    return (np.cumsum(count_L) - (count_L - 1) / 2)[place_N]


def _correlation(one_N: Sums, other_N: Sums) -> float | None:
    if len(one_N) < 2 or not one_N.std() or not other_N.std():
        return None
    return float(np.corrcoef(one_N, other_N)[0, 1])


def _points(item: Pair | Single) -> list[tuple[float, float, float]]:
    """(probability, what the label says, weight): a pair from both sides and in both orders."""
    if isinstance(item, Single):
        return [] if item.chance is None else [(item.chance, item.own, 1.0)]
    sides = [(chance, item.own) for chance in item.chance or ()]
    return [(p, own, 0.25) for chance, o in sides for p, own in ((chance, o), (1 - chance, 1 - o))]


def _said(items: Sequence[Pair | Single]) -> list[Pair | Single]:
    """Those of which the annotator says which is better, or whether one is good."""
    return [item for item in items if isinstance(item, Pair) or item.found is not None]


def _agreement(item: Pair | Single) -> float:
    if isinstance(item, Single):
        return float(item.own == item.found)
    share = (item.forward + item.backward) / 2
    return share if item.own == 1 else 1 - share


def _table(item: Pair | Single) -> Sums:
    """Counts by class of the label (worse, tie, better) and of the annotator; a pair counts once in all."""
    table_33 = np.zeros((3, 3))
    if isinstance(item, Single):
        assert item.found is not None
        table_33[int(2 * item.own), int(2 * item.found)] = 1.0
        return table_33
    for found in (item.forward, item.backward):
        table_33[int(2 * item.own), int(2 * found)] += 0.25
        table_33[int(2 - 2 * item.own), int(2 - 2 * found)] += 0.25
    return table_33


def _kappa(table_33: Sums) -> float | None:
    shares_33 = table_33 / table_33.sum()
    by_chance = float(shares_33.sum(1) @ shares_33.sum(0))
    return None if by_chance > 1 - 1e-12 else float((np.trace(shares_33) - by_chance) / (1 - by_chance))
