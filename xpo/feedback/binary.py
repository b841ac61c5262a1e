"""Which responses are good and which are bad."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from xpo.data.counts import Counts
from xpo.data.errors import DataError
from xpo.data.record import Example, Record
from xpo.registry import register


@register("feedback", "binary")
@dataclass(frozen=True)
class Binary:
    """Good and bad responses, each judged on its own; no comparison is left.

    Labels are taken as they are; every labelled beginning of a response weighs the same. A pair gives one
    good and one bad response. A list is cut by its scores: above ``threshold`` is good, below it bad, at it
    neither (null: the list's own mean). Ranks alone are cut at their mean. ``threshold`` is in units of the
    scores. Raises ``DataError`` for records that say nothing about their responses, and for a threshold
    without scores.
    """

    threshold: float | None = None
    gives: ClassVar[frozenset[str]] = frozenset({"labels", "scores", "demonstrations", "costs"})
    contrasts: ClassVar[bool] = False  # demonstrations against own samples: nobody labels
    on_policy: ClassVar[str] = "labels"  # what of samples it makes a policy gradient's reward from
    soft_masses: ClassVar[bool] = False  # who is preferred is said without a probability
    splits_ties: ClassVar[bool] = False  # a tie is no comparison
    labels_from_pairs: ClassVar[bool] = False  # good and bad are the two sides of comparisons
    in_expectation: ClassVar[frozenset[str]] = gives  # known exactly for a whole population

    def __post_init__(self) -> None:
        if self.threshold is not None and not math.isfinite(self.threshold):
            raise ValueError(f"threshold must be a finite number or null, got {self.threshold}")

    def __call__(self, records: Sequence[Record], counts: Counts) -> list[Example]:
        examples = []
        for record in records:
            verdict = self._verdict(record)
            undecided = sum(not any(sides) for sides in verdict)
            if undecided:
                counts.note("response neither good nor bad", undecided)
            if undecided == len(verdict):
                counts.drop(f"no response good or bad (all at {self._cut})")
            else:
                examples.append(_example(record, verdict))
        return examples

    @property
    def _cut(self) -> str:
        """Where a record is cut, for a user; a response alone is always at its own mean."""
        return "their mean; set feedback.threshold" if self.threshold is None else "feedback.threshold"

    def _verdict(self, record: Record) -> list[tuple[float, float]]:
        """How good and how bad each response is: one of both in all, or neither."""
        if record.labels is not None:
            if self.threshold is not None:
                raise DataError(
                    f"{record.where}: feedback.threshold cuts scores, and this row has labels; set it to null"
                )
            return [(float(label), 1.0 - label) for label in record.labels]
        merit = record.merit
        if merit is None:
            raise DataError(
                f"{record.where}: feedback=binary needs labels, comparisons or scores, and this row has only "
                "responses. Nearest: feedback=demonstration arity=single"
            )
        if self.threshold is None:
            cut = sum(merit) / len(merit)
        elif record.scores is None:
            raise DataError(
                f"{record.where}: feedback.threshold cuts scores, and this row has none; set it to null"
            )
        else:
            merit, cut = record.scores, self.threshold
        return [(float(value > cut), float(value < cut)) for value in merit]


def _example(record: Record, verdict: Sequence[tuple[float, float]]) -> Example:
    merit = record.merit or (0.0,) * len(verdict)
    order = sorted(range(len(verdict)), key=lambda i: (verdict[i][1] - verdict[i][0], -merit[i]))
    sides = [verdict[i] for i in order]
    judged = sum(map(sum, sides))
    shown = [good > bad for good, bad in sides]
    return Example(
        prompt=record.prompt,
        responses=tuple(record.responses[i] for i in order),
        good=tuple(good / judged for good, _ in sides),
        bad=tuple(bad / judged for _, bad in sides),
        demo=tuple(better / max(1, sum(shown)) for better in shown),
        scores=None if record.scores is None else tuple(record.scores[i] for i in order),
        costs=None if record.costs is None else tuple(record.costs[i] for i in order),
        whole=record.whole,
        weight=judged if record.whole is not None else 1.0,
        where=record.where,
    )
