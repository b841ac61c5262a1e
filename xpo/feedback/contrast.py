"""Demonstrations against the model's own samples."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from xpo.data.counts import Counts
from xpo.data.errors import DataError
from xpo.data.record import Example, Record
from xpo.data.shape import best_first, example, ordered
from xpo.registry import register


@register("feedback", "contrast")
@dataclass(frozen=True)
class Contrast:
    """The demonstration is preferred over each of the samples; samples are not compared with each other.

    Chen et al. 2024, arXiv 2401.01335, eq. 4.7 (SPIN), for samples that are given: the best response of a
    record (``chosen``, the highest rank or score) is its demonstration. Raises ``DataError`` for records
    that do not say which one it is.
    """

    gives: ClassVar[frozenset[str]] = frozenset({"comparisons", "labels", "demonstrations"})
    in_expectation: ClassVar[frozenset[str]] = gives  # known exactly for a whole population
    contrasts: ClassVar[bool] = True
    on_policy: ClassVar[str] = ""  # what of samples it makes a policy gradient's reward from
    soft_masses: ClassVar[bool] = False  # who is preferred is said without a probability
    splits_ties: ClassVar[bool] = False  # a tie is no comparison
    labels_from_pairs: ClassVar[bool] = True  # good and bad are the two sides of comparisons

    def __call__(self, records: Sequence[Record], counts: Counts) -> list[Example]:
        return [_example(record) for record in records]


def _example(record: Record) -> Example:
    merit = record.merit
    if merit is None:
        raise DataError(
            f"{record.where}: feedback=contrast sets a demonstration against samples, and this row does not "
            "say which response is the demonstration (chosen and rejected, ranks or scores). Nearest: "
            "feedback=demonstration arity=single"
        )
    order = best_first(merit)
    others = len(order) - 1
    first = [0.0] + [1 / others] * others if others else [0.0]
    prefer = [first, *([0.0] * len(order) for _ in range(others))]
    good = [0.5] + [0.0] * others
    bad = [0.0] + [0.5 / others] * others if others else [0.0]
    # said of the record, not of this contrast
    bare = dataclasses.replace(record, scores=None, wins=None, margins=None, costs=None)
    return example(ordered(bare, order), tuple(map(tuple, prefer)), good, bad)
