"""Which response is better."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal

from xpo.contracts import FEEDBACK
from xpo.data.counts import Counts
from xpo.data.errors import DataError
from xpo.data.record import Example, Record
from xpo.data.shape import Matrix, best_first, compared, example, ordered
from xpo.registry import register


@register("feedback", "preference")
@dataclass(frozen=True)
class Preference:
    """Comparisons: every pair of a prompt's responses that do not tie, with equal mass, best first.

    The order is that of ``ranks`` (a chosen response ranks before a rejected one), else of ``scores``.
    ``ties``: a pair that ties is dropped, or is half a comparison for each side. ``soft``: every pair is a
    comparison for both sides, with the annotator's probability that it wins, P(i beats j) / pairs.
    ``labels=sides``: those of comparisons, half the mass each, so that a pair is one good and one bad
    response; ``data``: each response's own, so that both of a pair can be good.
    Scores, win rates and margins go along where the data have them. Raises ``DataError`` for records
    without an order, for soft ones without ``wins``, and for own labels that are not there.
    """

    soft: bool = False
    ties: Literal["drop", "half"] = "drop"
    labels: Literal["sides", "data"] = "sides"

    gives: ClassVar[frozenset[str]] = FEEDBACK
    contrasts: ClassVar[bool] = False  # demonstrations against own samples: nobody labels
    on_policy: ClassVar[str] = "comparisons"  # what of samples it makes a policy gradient's reward from
    in_expectation: ClassVar[frozenset[str]] = gives  # known exactly for a whole population

    def __post_init__(self) -> None:
        if self.soft and self.ties != "drop":
            raise ValueError(
                f"ties={self.ties} is not read with soft=true, where a tie has probability one half for each "
                "side already; set one of them"
            )

    @property
    def soft_masses(self) -> bool:
        """Comparisons are probabilities, not who is preferred."""
        return self.soft

    @property
    def splits_ties(self) -> bool:
        """A tie is half a comparison for each side."""
        return self.ties == "half"

    @property
    def labels_from_pairs(self) -> bool:
        """Good and bad are the two sides of comparisons."""
        return self.labels == "sides"

    def __call__(self, records: Sequence[Record], counts: Counts) -> list[Example]:
        return [self._example(record) for record in records]

    def _example(self, record: Record) -> Example:
        order = best_first(_merit(record))
        best = ordered(record, order)
        prefer = _shares(best) if self.soft else compared(_merit(best), halves=self.splits_ties)
        if not self.labels_from_pairs:
            return example(best, prefer, *_own(best))
        good = [sum(row) / 2 for row in prefer]
        bad = [sum(column) / 2 for column in zip(*prefer, strict=True)]
        return example(best, prefer, good, bad)


def _merit(record: Record) -> tuple[float, ...]:
    merit = record.merit
    if merit is None:
        raise DataError(
            f"{record.where}: feedback=preference needs comparisons (chosen and rejected, or completions "
            "with scores or ranks), and this row has none. Nearest: feedback=binary arity=single for "
            "labels, feedback=demonstration arity=single for responses alone"
        )
    return merit


def _own(record: Record) -> tuple[list[float], list[float]]:
    """What the record says of each response alone, all of them with equal mass."""
    if record.labels is None:
        raise DataError(
            f"{record.where}: feedback.labels=data reads whether each response is good, which this row does "
            "not say: add columns label_chosen and label_rejected (safe_chosen and safe_rejected), or labels "
            "beside completions with scores; or feedback.labels=sides"
        )
    size = len(record.labels)
    return [float(label) / size for label in record.labels], [(1 - label) / size for label in record.labels]


def _shares(record: Record) -> Matrix:
    """P(i beats j), every pair with equal mass."""
    if record.wins is None:
        raise DataError(
            f"{record.where}: feedback.soft=true reads win probabilities, and this row has none: add "
            "a column 'wins' beside 'completions', take an annotator that gives them, or feedback.soft=false"
        )
    pairs = max(1, len(record.responses) * (len(record.responses) - 1) // 2)
    return tuple(
        tuple(0.0 if i == j else share / pairs for j, share in enumerate(row))
        for i, row in enumerate(record.wins)
    )
