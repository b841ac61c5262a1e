"""Comparisons that were won clearly."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from xpo.data.counts import Counts
from xpo.data.errors import DataError
from xpo.data.record import Example, Record
from xpo.feedback.preference import Preference
from xpo.registry import register


@register("feedback", "margin_filter")
@dataclass(frozen=True)
class MarginFilter:
    """The core's comparisons, without those whose scores differ by less than ``min_gap``.

    ``min_gap`` is in units of the data's scores. What is left of a prompt keeps its order and sums to mass
    1 again; a prompt without a clear comparison is dropped and counted. Raises ``DataError`` for rows
    without scores. After RSO's and UltraFeedback's practice of dropping near-ties; no paper defines it.
    """

    min_gap: float = 0.5
    gives: ClassVar[frozenset[str]] = Preference.gives
    contrasts: ClassVar[bool] = False  # demonstrations against own samples: nobody labels
    on_policy: ClassVar[str] = "comparisons"  # what of samples it makes a policy gradient's reward from
    soft_masses: ClassVar[bool] = False  # who is preferred is said without a probability
    splits_ties: ClassVar[bool] = False  # a tie is no comparison
    labels_from_pairs: ClassVar[bool] = True  # good and bad are the two sides of comparisons
    in_expectation: ClassVar[frozenset[str]] = frozenset()  # known exactly for a whole population

    def __post_init__(self) -> None:
        if self.min_gap < 0:
            raise ValueError(f"min_gap must be at least 0, got {self.min_gap}")

    def __call__(self, records: Sequence[Record], counts: Counts) -> list[Example]:
        clear = []
        for example in Preference()(records, counts):
            prefer = self._clear(example)
            total = sum(map(sum, prefer))
            if total:
                clear.append(_with_masses(example, [[mass / total for mass in row] for row in prefer]))
            else:
                counts.drop(f"no comparison won by {self.min_gap:g} or more")
        return clear

    def _clear(self, example: Example) -> list[list[float]]:
        """The comparisons' masses, 0 for those that were not won clearly."""
        if example.scores is None or example.prefer is None:
            raise DataError(
                f"{example.where}: feedback=margin_filter needs scores (completions with scores, or "
                "score_chosen and score_rejected), and this row has none. Nearest: feedback=preference"
            )
        scores = example.scores
        return [
            [mass if scores[i] - scores[j] >= self.min_gap else 0.0 for j, mass in enumerate(row)]
            for i, row in enumerate(example.prefer)
        ]


def _with_masses(example: Example, prefer: list[list[float]]) -> Example:
    """The example under other comparisons; labels are their two sides, half the mass each."""
    return dataclasses.replace(
        example,
        prefer=tuple(map(tuple, prefer)),
        good=tuple(sum(row) / 2 for row in prefer),
        bad=tuple(sum(column) / 2 for column in zip(*prefer, strict=True)),
    )
