"""Responses to imitate."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from xpo.data.counts import Counts
from xpo.data.errors import DataError
from xpo.data.record import Example, Record
from xpo.registry import register


@register("feedback", "demonstration")
@dataclass(frozen=True)
class Demonstration:
    """One response to imitate per record: the only one, the best, or none if it is labelled bad.

    Raises ``DataError`` for several responses without an order.
    """

    gives: ClassVar[frozenset[str]] = frozenset({"demonstrations"})
    contrasts: ClassVar[bool] = False  # demonstrations against own samples: nobody labels
    on_policy: ClassVar[str] = ""  # what of samples it makes a policy gradient's reward from
    soft_masses: ClassVar[bool] = False  # who is preferred is said without a probability
    splits_ties: ClassVar[bool] = False  # a tie is no comparison
    labels_from_pairs: ClassVar[bool] = False  # good and bad are the two sides of comparisons
    in_expectation: ClassVar[frozenset[str]] = gives  # known exactly for a whole population

    def __call__(self, records: Sequence[Record], counts: Counts) -> list[Example]:
        examples = []
        for record in records:
            best = _best(record)
            if record.labels is not None and not record.labels[best]:
                counts.drop("best response labelled bad")
            else:
                examples.append(
                    Example(record.prompt, (record.responses[best],), demo=(1.0,), where=record.where)
                )
        return examples


def _best(record: Record) -> int:
    if len(record.responses) > 1 and not record.labelled:
        raise DataError(
            f"{record.where}: nobody says which of {len(record.responses)} responses is to be imitated: give "
            "scores or ranks, or a file of demonstrations (data.demonstrations=<file>)"
        )
    merit = record.merit or record.labels or (0.0,)
    return max(range(len(merit)), key=lambda i: merit[i])
