"""Which comparisons survive, with masses counted by hand."""

from __future__ import annotations

import pytest

from xpo.data.counts import Counts
from xpo.data.errors import DataError
from xpo.data.record import Record
from xpo_example.margin_filter import MarginFilter


def record(*scores: float) -> Record:
    return Record("prompt", tuple(f"response {i}" for i in range(len(scores))), scores=scores, where="file:1")


def test_near_ties_are_left_out_and_the_rest_sums_to_1():
    (example,) = MarginFilter(min_gap=1.0)([record(0.2, 3.0, 2.5)], Counts())
    # best first: 3.0, 2.5, 0.2; 3.0 against 2.5 is too close, which leaves two comparisons
    assert example.scores == (3.0, 2.5, 0.2)
    assert example.prefer == ((0, 0, 0.5), (0, 0, 0.5), (0, 0, 0))
    assert example.good == (0.25, 0.25, 0)
    assert example.bad == (0, 0, 0.5)


def test_a_gap_of_exactly_min_gap_stays():
    assert len(MarginFilter(min_gap=0.5)([record(1.0, 0.5)], Counts())) == 1


def test_a_prompt_without_a_clear_win_is_dropped_and_counted():
    counts = Counts()
    assert MarginFilter(min_gap=2.0)([record(1.0, 0.0), record(5.0, 1.0)], counts)[0].scores == (5.0, 1.0)
    assert counts.dropped == {"no comparison won by 2 or more": 1}


def test_rows_without_scores_are_refused_with_their_place():
    ranked = Record("prompt", ("a", "b"), ranks=(0, 1), where="pairs.jsonl:7")
    with pytest.raises(DataError, match=r"pairs.jsonl:7: feedback=margin_filter needs scores"):
        MarginFilter()([ranked], Counts())


def test_min_gap_must_not_be_negative():
    with pytest.raises(ValueError, match="min_gap must be at least 0, got -1"):
        MarginFilter(min_gap=-1)
