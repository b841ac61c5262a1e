"""How good a response is, as a number."""

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


@register("feedback", "scalar")
@dataclass(frozen=True)
class Scalar:
    """Scores, best first, and the comparisons that follow from them (equal scores compare to nothing).

    Unlike ``preference`` the order is always that of the scores. Raises ``DataError`` for records
    without scores.
    """

    gives: ClassVar[frozenset[str]] = FEEDBACK - {"labels"}
    contrasts: ClassVar[bool] = False  # demonstrations against own samples: nobody labels
    on_policy: ClassVar[str] = "scores"  # what of samples it makes a policy gradient's reward from
    soft_masses: ClassVar[bool] = False  # who is preferred is said without a probability
    splits_ties: ClassVar[bool] = False  # a tie is no comparison
    labels_from_pairs: ClassVar[bool] = False  # good and bad are the two sides of comparisons
    in_expectation: ClassVar[frozenset[str]] = frozenset({"scores"})  # of a whole population, exactly

    def __call__(self, records: Sequence[Record], counts: Counts) -> list[Example]:
        return [_example(record) for record in records]


def _example(record: Record) -> Example:
    if record.scores is None:
        raise DataError(
            f"{record.where}: feedback=scalar needs scores (completions with scores, completion with score, "
            "or score_chosen and score_rejected), and this row has none. Nearest: feedback=preference"
        )
    order = best_first(record.scores)
    prefer = compared([record.scores[i] for i in order])
    return example(ordered(record, order), prefer)
