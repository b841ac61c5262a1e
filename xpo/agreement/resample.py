"""Values with their intervals over prompts: as many are drawn anew, again and again."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

RESAMPLES = 2000
_CHUNK = 100

Sums = NDArray[np.floating]


@dataclass(frozen=True)
class Estimate:
    """A value, and where it lies with 95 % confidence, over prompts drawn anew (null: it is undefined)."""

    value: float | None
    low: float | None = None
    high: float | None = None


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


def over_points(items: Sequence[Any], points_N2: Sums, of: Callable[[Sums], float | None]) -> Estimate:
    """``of`` all points, and its interval over prompts."""
    if not items:
        return Estimate(None)
    place = {prompt: i for i, prompt in enumerate(dict.fromkeys(item.prompt for item in items))}
    at_N = np.array([place[item.prompt] for item in items])
    drawn = [of(np.repeat(points_N2, times_P[at_N], axis=0)) for times_P in _times(len(place))]
    known, value = [one for one in drawn if one is not None], of(points_N2)
    if value is None or not known:
        return Estimate(None)
    low, high = np.quantile(known, (0.025, 0.975))
    return Estimate(value, float(low), float(high))


def _resampled(sums_PF: Sums) -> list[Sums]:
    """The sums over as many prompts, drawn with replacement, again and again."""
    return [times_P @ sums_PF for times_P in _times(len(sums_PF))]


def _times(number: int) -> Iterator[NDArray[np.integer]]:
    """How often each of so many prompts is drawn, with replacement, again and again; the seed is fixed."""
    draw = np.random.default_rng(0)
    shares = np.full(number, 1 / number)
    for _ in range(RESAMPLES // _CHUNK):
        yield from draw.multinomial(number, shares, size=_CHUNK)


def _ratio(sums: Sums) -> float | None:
    return float(sums[0] / sums[1]) if sums[1] else None
