"""Which response is better."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from xpo.contracts import FEEDBACK
from xpo.data.counts import Counts
from xpo.data.errors import DataError
from xpo.data.record import Example, Record
from xpo.data.shape import best_first, compared, example, ordered
from xpo.registry import register


@register("feedback", "preference")
@dataclass(frozen=True)
class Preference:
    """Comparisons: every pair of a prompt's responses that do not tie, with equal mass, best first.

    The order is that of ``ranks`` (a chosen response ranks before a rejected one), else of ``scores``.
    Labels are the comparisons' two sides, half the mass each: a pair is one good and one bad response.
    Scores, win rates and margins go along where the data have them. Raises ``DataError`` for records
    without an order.
    """

    gives: ClassVar[frozenset[str]] = FEEDBACK
    contrasts: ClassVar[bool] = False  # demonstrations against own samples: nobody labels
    in_expectation: ClassVar[frozenset[str]] = gives  # known exactly for a whole population

    def __call__(self, records: Sequence[Record], counts: Counts) -> list[Example]:
        return [_example(record) for record in records]


def _example(record: Record) -> Example:
    merit = record.merit
    if merit is None:
        raise DataError(
            f"{record.where}: feedback=preference needs comparisons (chosen and rejected, or completions "
            "with scores or ranks), and this row has none. Nearest: feedback=binary arity=single for "
            "labels, feedback=demonstration arity=single for responses alone"
        )
    order = best_first(merit)
    prefer = compared([merit[i] for i in order])
    good = [sum(row) / 2 for row in prefer]
    bad = [sum(column) / 2 for column in zip(*prefer, strict=True)]
    return example(ordered(record, order), prefer, good, bad)
