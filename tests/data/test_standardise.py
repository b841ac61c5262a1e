"""Scores of mean 0 and variance 1 over the training rows, by hand."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from xpo.data.errors import DataError
from xpo.data.jsonl import Jsonl

TRAIN = [
    {"prompt": "a", "completions": [" x", " y"], "scores": [1.0, 3.0]},
    {"prompt": "b", "completions": [" x", " y", " z"], "scores": [5.0, 7.0, 9.0]},
]
TEST = [{"prompt": "c", "completions": [" x", " y"], "scores": [5.0, 13.0]}]


def read(write: Callable[..., str], train: list, test: list, standardise: bool) -> list:
    first, second = write(train, "train.jsonl"), write(test, "test.jsonl")
    splits = Jsonl(path=first, test_path=second, standardise_scores=standardise).read()
    return [[record.scores for record in split] for split in (splits.train, splits.test)]


def test_the_training_rows_say_mean_and_deviation(write: Callable[..., str]) -> None:
    """Mean 5, variance (16 + 4 + 0 + 4 + 16) / 5 = 8; the test rows are measured with the same ruler."""
    train, test = read(write, TRAIN, TEST, True)
    unit = 8**0.5
    assert train[0] == pytest.approx((-4 / unit, -2 / unit))
    assert train[1] == pytest.approx((0.0, 2 / unit, 4 / unit))
    assert test[0] == pytest.approx((0.0, 8 / unit))
    every = [score for scores in train for score in scores]
    assert sum(every) == pytest.approx(0.0) and sum(s * s for s in every) / 5 == pytest.approx(1.0)


def test_scores_stay_unless_asked(write: Callable[..., str]) -> None:
    assert read(write, TRAIN, TEST, False) == [[(1.0, 3.0), (5.0, 7.0, 9.0)], [(5.0, 13.0)]]


def test_nothing_to_standardise_is_refused(write: Callable[..., str]) -> None:
    pairs = [{"prompt": "a", "chosen": " x", "rejected": " y"}]
    with pytest.raises(DataError, match="standardise_scores=true needs scores"):
        read(write, pairs, pairs, True)
    equal = [{"prompt": "a", "completions": [" x", " y"], "scores": [0.1, 0.1]}]
    with pytest.raises(DataError, match="every score of the training rows is 0.1"):
        read(write, equal, TEST, True)
