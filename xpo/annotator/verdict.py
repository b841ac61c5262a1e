"""What an annotator says of a row: checked when it is new, and when it comes from a file."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from xpo.errors import UserError


class LabelError(UserError):
    """An annotator could not label a row, or said something that is no label."""


@dataclass(frozen=True)
class Verdict:
    """What is said of one record's K responses: scores, or wins (K x K, P(i beats j)), or both; labels too.

    ``costs``: a positive one is unsafe; they stand beside the others. ``parts``: the ends (in characters) of
    each response's parts, and what each is worth. ``why`` is for a person who reads the store: a rationale,
    or what a judge answered.
    """

    scores: tuple[float, ...] | None = None
    wins: tuple[tuple[float, ...], ...] | None = None
    labels: tuple[bool, ...] | None = None
    costs: tuple[float, ...] | None = None
    parts: tuple[tuple[tuple[int, float], ...], ...] | None = None
    why: Any = None


def check(verdict: Any, size: int) -> None:
    """``LabelError`` for what is no verdict on so many responses."""
    if not isinstance(verdict, Verdict):
        raise LabelError(f"a verdict was expected, got {verdict!r:.80}")
    _check_sizes(verdict, size)
    for score in verdict.scores or ():
        _number(score, "a score")
    for _, worth in (part for parts in verdict.parts or () for part in parts):
        _number(worth, "what a part is worth")
    for cost in verdict.costs or ():
        _number(cost, "a cost")
    if any(not isinstance(label, bool) for label in verdict.labels or ()):
        raise LabelError(f"labels must be true or false, got {verdict.labels!r:.80}")
    if verdict.wins is not None:
        _check_wins(verdict.wins, size)


def _check_sizes(verdict: Verdict, size: int) -> None:
    told = {name: verdict.__dict__[name] for name in ("scores", "wins", "labels", "costs", "parts")}
    said = {name: values for name, values in told.items() if values is not None}
    if not said.keys() - {"parts"}:
        raise LabelError("the verdict says nothing: it has no scores, wins, labels or costs")
    for name, values in said.items():
        if not isinstance(values, tuple) or len(values) != size:
            raise LabelError(f"{name} must be a tuple of {size}, one for each response, got {values!r:.80}")


def _check_wins(wins: tuple[tuple[float, ...], ...], size: int) -> None:
    for row in wins:
        if not isinstance(row, tuple) or len(row) != size:
            raise LabelError(f"wins must be {size} x {size}, got a row {row!r:.80}")
        for share in row:
            _number(share, "a probability of winning")
    for i in range(size):
        for j in range(i):
            if not (0 <= wins[i][j] <= 1 and math.isclose(wins[i][j] + wins[j][i], 1, abs_tol=1e-6)):
                raise LabelError(
                    f"wins[{i}][{j}] is {wins[i][j]} and wins[{j}][{i}] is {wins[j][i]}: they are "
                    "probabilities that sum to 1"
                )


def _number(value: Any, what: str) -> None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise LabelError(f"{what} must be a number, got {value!r:.80}")
    if not is_finite(value):
        raise LabelError(f"{what} must be finite, got {value!r:.80}")


def is_finite(value: Any) -> bool:
    """Whether this is a number that a float can hold, and no truth value; JSON knows longer ones."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    try:
        return math.isfinite(value)
    except OverflowError:
        return False


def _parts(stored: Any) -> tuple[tuple[tuple[int, float], ...], ...] | None:
    return None if stored is None else tuple(tuple((end, worth) for end, worth in row) for row in stored)


def of_stored(stored: Any, size: int) -> Verdict | None:
    """From JSON, where tuples are lists; None for what is no verdict on so many responses."""
    try:
        verdict = _verdict(stored)
        check(verdict, size)
    except (LabelError, AttributeError, KeyError, TypeError, ValueError):
        return None
    return verdict


def _verdict(stored: Any) -> Verdict:
    """What was stored before there were costs and parts has none."""
    wins, costs = stored["wins"], stored.get("costs")
    return Verdict(
        scores=None if stored["scores"] is None else tuple(stored["scores"]),
        wins=None if wins is None else tuple(tuple(row) for row in wins),
        labels=None if stored["labels"] is None else tuple(stored["labels"]),
        costs=None if costs is None else tuple(costs),
        parts=_parts(stored.get("parts")),
        why=stored["why"],
    )
