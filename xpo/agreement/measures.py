"""Numbers of agreement and of bias, each with its interval over prompts.

Each pair is looked at from both sides and in both orders with equal weight: no number depends on which
response stands first in the file (in a file of pairs that is always the chosen one).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xpo.agreement.pairs import Pair, Single

RESAMPLES = 2000
_Z = 1.959963984540054  # 97.5 % of a normal distribution
_CHUNK = 100

Sums = NDArray[np.floating]


@dataclass(frozen=True)
class Estimate:
    """A value, and where it lies with 95 % confidence, over prompts drawn anew (null: it is undefined)."""

    value: float | None
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True)
class Bin:
    """Pairs for which the annotator gives a probability of winning from ``low`` to ``high``."""

    low: float
    high: float
    pairs: float
    predicted: float  # mean probability
    observed: float  # how often the held-out label says so


def accuracy(items: Sequence[Pair | Single]) -> Estimate:
    """How often the annotator says what the label says; its tie is half right. Label ties do not count."""
    decided = [item for item in items if item.own != 0.5]
    return over_prompts(decided, lambda item: (_agreement(item), 1.0))


def kappa(items: Sequence[Pair | Single]) -> Estimate:
    """Cohen 1960 (Educ. Psychol. Meas. 20): agreement beyond chance; a tie is a class of its own."""
    return over_prompts(items, lambda item: _table(item).ravel(), of=lambda sums: _kappa(sums.reshape(3, 3)))


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


def calibration(pairs: Sequence[Pair], bins: int = 10) -> tuple[list[Bin], float] | None:
    """Probability against frequency, and the expected calibration error; None without probabilities.

    The error is the mean over pairs of |mean probability - frequency| of a pair's bin (Naeini et al. 2015).
    """
    points = [
        (side, own)
        for pair in pairs
        if pair.chance is not None
        for chance in pair.chance
        for side, own in ((chance, pair.own), (1 - chance, 1 - pair.own))
    ]
    if not points:
        return None
    place_N = np.minimum((np.array([p for p, _ in points]) * bins).astype(int), bins - 1)
    found = []
    for place in sorted(set(place_N.tolist())):
        here = np.array([points[n] for n in np.flatnonzero(place_N == place)])
        predicted, observed = (float(mean) for mean in here.mean(0))
        found.append(Bin(place / bins, (place + 1) / bins, len(here) / 4, predicted, observed))
    total = sum(one.pairs for one in found)
    return found, sum(one.pairs * abs(one.predicted - one.observed) for one in found) / total


def wilson(share: float, number: int) -> tuple[float, float]:
    """Wilson 1927 (JASA 22): the 95 % interval of a share of so many independent ones."""
    centre = share + _Z**2 / (2 * number)
    width = _Z * math.sqrt(share * (1 - share) / number + _Z**2 / (4 * number**2))
    scale = 1 + _Z**2 / number
    return (centre - width) / scale, (centre + width) / scale


def over_prompts(
    items: Sequence[Any],
    parts: Callable[[Any], Any],
    of: Callable[[Sums], float | None] | None = None,
) -> Estimate:
    """``of`` the summed parts of all items (numerator / denominator unless given), prompts drawn anew."""
    of = of or _ratio
    if not items:
        return Estimate(None)
    place = {prompt: i for i, prompt in enumerate(dict.fromkeys(item.prompt for item in items))}
    parts_NF = np.array([parts(item) for item in items], dtype=float)
    sums_PF = np.zeros((len(place), parts_NF.shape[1]))
    np.add.at(sums_PF, [place[item.prompt] for item in items], parts_NF)
    drawn = [of(sums) for sums in _resampled(sums_PF)]
    known = np.array([value for value in drawn if value is not None])
    value = of(sums_PF.sum(0))
    if value is None or not len(known):
        return Estimate(None)
    low, high = np.quantile(known, (0.025, 0.975))
    return Estimate(value, float(low), float(high))


def _resampled(sums_PF: Sums) -> list[Sums]:
    """The sums over as many prompts, drawn with replacement, again and again; the seed is fixed."""
    draw = np.random.default_rng(0)
    number = len(sums_PF)
    shares = np.full(number, 1 / number)
    return [
        sums
        for _ in range(RESAMPLES // _CHUNK)
        for sums in draw.multinomial(number, shares, size=_CHUNK) @ sums_PF
    ]


def _ratio(sums: Sums) -> float | None:
    return float(sums[0] / sums[1]) if sums[1] else None


def _agreement(item: Pair | Single) -> float:
    if isinstance(item, Single):
        return float(item.own == item.found)
    share = (item.forward + item.backward) / 2
    return share if item.own == 1 else 1 - share


def _table(item: Pair | Single) -> Sums:
    """Counts by class of the label (worse, tie, better) and of the annotator; a pair counts once in all."""
    table_33 = np.zeros((3, 3))
    if isinstance(item, Single):
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
