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
    """The best responses are preferred over each of the others; neither are compared among themselves.

    Chen et al. 2024, arXiv 2401.01335, eq. 4.7 (SPIN): the best response of a record (``chosen``, the highest
    rank or score) is its demonstration, the others are samples of the model. Where a run samples, nobody
    judges: a demonstration of the data (``sampling.given=best``) stands above all samples, what people reject
    (``sampling.given=worst``) below them, Duan et al. 2024, arXiv 2403.03419, eq. 3. Raises ``DataError`` for
    records that do not say which one is best.
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
    best = sum(merit[k] == merit[order[0]] for k in order)
    others = len(order) - best
    above = [0.0] * best + [1 / (best * others) for _ in range(others)]
    prefer = [above] * best + [[0.0] * len(order)] * others
    good = [0.5 / best] * best + [0.0] * others
    bad = [0.0] * best + [0.5 / others for _ in range(others)]
    # said of the record, not of this contrast
    bare = dataclasses.replace(record, scores=None, wins=None, margins=None, costs=None)
    return example(ordered(bare, order), tuple(map(tuple, prefer)), good, bad)
