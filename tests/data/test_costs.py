"""Costs from a file's column to a batch: their order, and what is kept of them."""

from __future__ import annotations

from typing import Any

import pytest

from tests.data.test_margins import LIST, run
from xpo.arity.list import List
from xpo.arity.pair import Pair
from xpo.arity.single import Single
from xpo.contracts import StepTotals
from xpo.data.collate import Collator
from xpo.data.errors import BadRow, DataError
from xpo.feedback.binary import Binary
from xpo.feedback.contrast import Contrast
from xpo.feedback.preference import Preference
from xpo.feedback.scalar import Scalar

ROW = {key: value for key, value in LIST.items() if key != "margins"} | {"costs": [0.5, -2, 1.25]}
NEEDS = frozenset({"costs"})


def costs(path: str, tokenizer: Any, feedback: Any, arity: Any) -> list[Any]:
    return [row.costs for row in run(path, tokenizer, feedback, arity, NEEDS).train]


@pytest.mark.parametrize(
    ("feedback", "arity", "expected"),
    [
        (Preference(), List(), [(-2.0, 1.25, 0.5)]),  # high, middle, low
        (Scalar(), List(), [(-2.0, 1.25, 0.5)]),
        (Preference(), Pair("best_worst"), [(-2.0, 0.5)]),
        (Binary(threshold=5.0), Single(), [(-2.0,), (1.25,), (0.5,)]),
    ],
    ids=repr,
)
def test_they_stay_with_their_response(
    feedback: Any, arity: Any, expected: Any, write: Any, tokenizer: Any
) -> None:
    assert costs(write([ROW]), tokenizer, feedback, arity) == expected


def test_a_batch_has_them_if_all_rows_do(write: Any, tokenizer: Any) -> None:
    short = {"prompt": "What?", "completions": [" x", " y"], "scores": [2, 1], "costs": [0.5, 4]}
    rows = run(write([ROW, short]), tokenizer, Preference(), List(), NEEDS).train
    collate, totals = Collator(0), StepTotals(2.0, 0.0, 1)
    found = collate(rows, [0, 1], totals).cost_BK
    assert found is not None and found.tolist() == [[-2.0, 1.25, 0.5], [0.5, 4.0, 0.0]]
    bare = {key: value for key, value in short.items() if key != "costs"}
    rows = run(write([ROW, bare]), tokenizer, Preference(), List(), frozenset()).train
    assert collate(rows, [0, 1], totals).cost_BK is None


def test_rows_without_them_are_refused_where_they_are_needed(write: Any, tokenizer: Any) -> None:
    bare = {key: value for key, value in ROW.items() if key != "costs"}
    with pytest.raises(DataError, match=r"needs costs \(costs, beside completions\)"):
        costs(write([bare]), tokenizer, Preference(), List())


def test_a_contrast_says_nothing_of_them(write: Any, tokenizer: Any) -> None:
    (row,) = run(write([ROW]), tokenizer, Contrast(), List(), frozenset()).train
    assert row.costs is None


@pytest.mark.parametrize("given", [[1.0, 2.0], [1.0, "high", 2.0]])
def test_a_column_that_is_none_is_refused(given: list[Any], write: Any, tokenizer: Any) -> None:
    with pytest.raises((BadRow, DataError), match="costs"):
        costs(write([ROW | {"costs": given}]), tokenizer, Preference(), List())
