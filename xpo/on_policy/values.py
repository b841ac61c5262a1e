"""What a response is worth to a policy gradient, from what was said of it."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

from xpo.data.counts import Counts
from xpo.data.errors import DataError
from xpo.data.record import Example, Record


def values(record: Record, parts: Any) -> list[float]:
    """One number for each response: as the reward form reads the annotator, and as the feedback takes it.

    A pairwise form's number is the mean probability of winning against the prompt's other responses.
    feedback=scalar takes numbers as they are, binary makes them 1 (good) or 0, preference the share of
    comparisons that are won (what takes no number of its own leaves them as they are). Raises ``DataError``
    for a record that says nothing of this.
    """
    record = _formed(record, parts.reward_form.reads == "wins")
    return _TAKEN[parts.feedback.on_policy](record, parts.feedback)


def won(record: Record, own: int) -> list[float]:
    """The mean probability of each of the first ``own`` responses of winning against the ones behind them.

    Raises ``DataError`` for a record that says nothing of this.
    """
    wins = _wins(record)
    return [sum(row[own:]) / (len(row) - own) for row in wins[:own]]


def _wins(record: Record) -> Sequence[Sequence[float]]:
    if record.wins is None:
        raise DataError(f"{record.where}: reward_form reads win probabilities, and the annotator gave none")
    return record.wins


def _formed(record: Record, of_pairs: bool) -> Record:
    if not of_pairs:
        return record
    wins = _wins(record)
    others = max(1, len(wins) - 1)
    rates = tuple((sum(row) - row[i]) / others for i, row in enumerate(wins))
    return dataclasses.replace(record, scores=rates, ranks=None)


def _scores(record: Record, feedback: Any) -> list[float]:
    if record.scores is None:
        raise DataError(f"{record.where}: feedback=scalar needs scores, and the annotator gave none")
    return [float(score) for score in record.scores]


def _by_response(record: Record, feedback: Any, said: Callable[[Example], Sequence[float]]) -> list[float]:
    """What examples say of each response; equal ones share it, those that nobody spoke of have 1/2."""
    found: dict[Any, float] = {}
    for example in feedback([record], Counts()):
        found.update(zip(example.responses, said(example), strict=True))
    return [found.get(response, 0.5) for response in record.responses]


def _labels(record: Record, feedback: Any) -> list[float]:
    def good(example: Example) -> list[float]:
        assert example.good is not None and example.bad is not None, "it gives labels"
        return [g / (g + b) if g + b else 0.5 for g, b in zip(example.good, example.bad, strict=True)]

    return _by_response(record, feedback, good)


def _comparisons(record: Record, feedback: Any) -> list[float]:
    def won(example: Example) -> list[float]:
        assert example.prefer is not None, "it gives comparisons"
        lost = [sum(row[k] for row in example.prefer) for k in range(len(example.prefer))]
        wins = [sum(row) for row in example.prefer]
        return [w / (w + lo) if w + lo else 0.5 for w, lo in zip(wins, lost, strict=True)]

    return _by_response(record, feedback, won)


_TAKEN = {"": _scores, "scores": _scores, "labels": _labels, "comparisons": _comparisons}
