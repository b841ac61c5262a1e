"""Margins from a file's column to a batch: their order, what is kept of them, and what is refused."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import pytest

from xpo.annotator.human import Human
from xpo.arity.list import List
from xpo.arity.pair import Pair
from xpo.arity.single import Single
from xpo.contracts import Row, StepTotals
from xpo.data.build import Pipeline, Prepared, fingerprint, prepare
from xpo.data.collate import Collator
from xpo.data.errors import BadRow, DataError
from xpo.data.jsonl import Jsonl
from xpo.feedback.binary import Binary
from xpo.feedback.contrast import Contrast
from xpo.feedback.preference import Preference
from xpo.feedback.scalar import Scalar

PAIR = {"prompt": "What?", "chosen": " a", "rejected": " b", "margin": 1.5}
LIST = {
    "prompt": "What?",
    "completions": [" low", " high", " middle"],
    "scores": [1, 9, 4],
    "margins": [[0, -3, -1], [3, 0, 2.5], [1, -2.5, 0]],
}
NEEDS = frozenset({"margins"})


def run(path: str, tokenizer: Any, feedback: Any = None, arity: Any = None, needs: Any = NEEDS) -> Prepared:
    data = Jsonl(path=path, test_fraction=0.0)
    pipeline = Pipeline(data, Human(), feedback or Preference(), arity or Pair())
    return prepare(pipeline, tokenizer, needs=needs)


def margins(row: Row) -> list[list[float]]:
    assert row.margins is not None
    return [list(line) for line in row.margins]


def test_a_pairs_number_is_its_two_sides(write: Callable[..., str], tokenizer: Any) -> None:
    (row,) = run(write([PAIR]), tokenizer).train
    assert margins(row) == [[0, 1.5], [-1.5, 0]]


@pytest.mark.parametrize("feedback", [Preference(), Scalar()])
def test_a_lists_matrix_follows_its_responses(
    write: Callable[..., str], tokenizer: Any, feedback: Any
) -> None:
    (row,) = run(write([LIST]), tokenizer, feedback, List()).train
    assert margins(row) == [[0, 2.5, 3], [-2.5, 0, 1], [-3, -1, 0]]  # high, middle, low


def test_pairs_of_a_list_have_theirs(write: Callable[..., str], tokenizer: Any) -> None:
    rows = run(write([LIST]), tokenizer).train
    assert [margins(row)[0][1] for row in rows] == [2.5, 3, 1]
    (row,) = run(write([LIST]), tokenizer, arity=Pair(from_list="best_worst")).train
    assert margins(row) == [[0, 3], [-3, 0]]


def test_equal_responses_are_one(write: Callable[..., str], tokenizer: Any) -> None:
    twice = LIST | {"completions": [" low", " high", " low"]}
    (row,) = run(write([twice]), tokenizer, arity=List()).train
    assert len(row.responses) == 2 and margins(row) == [[0, 2.75], [-2.75, 0]], "the mean of 3 and 2.5"


def test_other_kinds_of_rows_drop_them(write: Callable[..., str], tokenizer: Any) -> None:
    none = frozenset[str]()
    for feedback, arity in ((Binary(), Single()), (Preference(), Single()), (Contrast(), List())):
        rows = run(write([LIST]), tokenizer, feedback, arity, none).train
        assert rows and all(row.margins is None for row in rows), feedback


def test_they_reach_the_batch(write: Callable[..., str], tokenizer: Any) -> None:
    rows = run(
        write([LIST, LIST | {"prompt": "Who?", "completions": [" x", " y", " "]}]), tokenizer, arity=List()
    )
    batch = Collator(pad_id=2)(rows.train, [0, 1], StepTotals(2, 2, 1))
    assert batch.margin_BKK is not None
    assert batch.margin_BKK.tolist() == [
        [[0, 2.5, 3], [-2.5, 0, 1], [-3, -1, 0]],
        [[0, 3, 0], [-3, 0, 0], [0, 0, 0]],  # two responses, padded with zeros
    ]


def test_rows_without_them_are_refused_by_name(write: Callable[..., str], tokenizer: Any) -> None:
    bare = {key: value for key, value in PAIR.items() if key != "margin"}
    for row in (bare, PAIR | {"margin": None}):
        with pytest.raises(
            DataError, match="rows.jsonl:2: this combination needs margins .*, and this row of train"
        ):
            run(write([PAIR, row]), tokenizer)
        assert len(run(write([PAIR, row]), tokenizer, needs=frozenset()).train) == 2


@pytest.mark.parametrize(
    ("row", "words"),
    [
        (PAIR | {"margin": "much"}, "column 'margin' must be a number, got 'much'"),
        (PAIR | {"margin": True}, "column 'margin' must be a number, got True"),
        (PAIR | {"margin": float("nan")}, "column 'margin' must be finite, got nan"),
        (PAIR | {"margin": [1.0]}, "column 'margin' must be a number"),
        (LIST | {"margins": [2, 1, 0]}, "column 'margins' must be a list of numbers, got 2"),
        (LIST | {"margins": [[0, 1], [-1, 0]]}, "column 'margins' must be a 3 x 3 matrix"),
        (LIST | {"margins": [[0, 1], [-1, 0], [0, 0]]}, "column 'margins' has 2 entries"),
        (LIST | {"margins": [[0, 1, 2], [1, 0, 1], [-2, -1, 0]]}, r"margins\[0\]\[1\] is 1 and .* is 1: a"),
        (LIST | {"margins": [[5, 0, 0], [0, 0, 0], [0, 0, 0]]}, r"margins\[0\]\[0\] is 5 and .* is 5: a"),
    ],
)
def test_bad_values_are_named_with_their_place(
    write: Callable[..., str], row: dict[str, Any], words: str
) -> None:
    with pytest.raises(BadRow, match=words) as error:
        Jsonl(path=write([row])).read()
    assert "rows.jsonl:1" in str(error.value)


def test_another_name_for_the_column(write: Callable[..., str]) -> None:
    row = {"prompt": "p", "chosen": "a", "rejected": "b", "how_much": -0.5}
    splits = Jsonl(path=write([row]), columns={"margin": "how_much"}, test_fraction=0.0).read()
    assert splits.train[0].margins == ((0.0, -0.5), (0.5, 0.0))


def test_they_are_in_the_fingerprint(write: Callable[..., str], tokenizer: Any) -> None:
    (row,) = run(write([PAIR]), tokenizer).train
    assert fingerprint([row]) != fingerprint([dataclasses.replace(row, margins=((0.0, 2.0), (-2.0, 0.0)))])
