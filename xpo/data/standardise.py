"""Scores of mean 0 and variance 1."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence

from xpo.data.errors import DataError
from xpo.data.record import Record, Splits


def standardised(splits: Splits) -> Splits:
    """All scores less the mean of the training rows' and divided by their standard deviation.

    Every scored response counts alike. Raises ``DataError`` where no training row has scores, or all are
    equal.
    """
    scores = [score for record in splits.train for score in record.scores or ()]
    if not scores:
        raise DataError(
            "data.standardise_scores=true needs scores (completions with scores, completion with score, or "
            "score_chosen and score_rejected), and no training row has any; false where none are read"
        )
    mean = math.fsum(scores) / len(scores)
    deviation = math.sqrt(math.fsum((score - mean) ** 2 for score in scores) / len(scores))
    if not deviation > 1e-12 * max(1.0, abs(mean)):
        raise DataError(f"data.standardise_scores=true: every score of the training rows is {mean:g}")

    def moved(records: Sequence[Record]) -> list[Record]:
        return [
            record
            if record.scores is None
            else dataclasses.replace(record, scores=tuple((s - mean) / deviation for s in record.scores))
            for record in records
        ]

    return dataclasses.replace(splits, train=moved(splits.train), test=moved(splits.test))
