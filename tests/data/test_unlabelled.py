"""Rows that nobody labelled, right answers, and who wrote what."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from xpo.data.jsonl import Jsonl
from xpo.data.record import Record
from xpo.data.shape import ordered

LIST = {"prompt": "p", "completions": [" a", " b"]}
SINGLE = {"prompt": "p", "completion": " a"}


def read(write: Callable[..., str], *rows: dict[str, Any], **options: Any) -> list[Record]:
    return Jsonl(path=write(list(rows)), test_fraction=0.0, **options).read().train


@pytest.mark.parametrize("row", [LIST, SINGLE, {**LIST, "scores": None}, {**SINGLE, "label": None}], ids=str)
def test_a_row_without_labels_is_a_record(write: Callable[..., str], row: dict[str, Any]) -> None:
    (record,) = read(write, row)
    assert record.prompt == "p" and record.responses[0] == " a" and not record.labelled
    assert record.merit is None and record.where.endswith("rows.jsonl:1")


def test_some_rows_may_have_labels(write: Callable[..., str]) -> None:
    records = read(write, {**LIST, "scores": [1, 2]}, LIST, {**LIST, "ranks": [1, 0]})
    assert [record.labelled for record in records] == [True, False, True]
    records = read(write, {**SINGLE, "label": True}, SINGLE)
    assert [record.labels for record in records] == [(True,), None]


@pytest.mark.parametrize("column", ["source", "rating_by", "id"])
def test_other_columns_are_no_misspelt_labels(write: Callable[..., str], column: str) -> None:
    assert not read(write, {**LIST, column: "x"})[0].labelled


@pytest.mark.parametrize(
    "row", [{**LIST, "ranks": [0, 1]}, {"prompt": "p", "chosen": " a", "rejected": " b"}, SINGLE], ids=str
)
def test_answers_are_texts(write: Callable[..., str], row: dict[str, Any]) -> None:
    found = read(write, *({**row, "answer": answer} for answer in ("42", 42, 0.5, None)))
    assert [record.answer for record in found] == ["42", "42", "0.5", None]


def test_an_answer_alone_is_still_the_response(write: Callable[..., str]) -> None:
    (record,) = read(write, {"prompt": "p", "answer": " a"})
    assert record.responses == (" a",) and record.answer is None
    (record,) = read(write, {"prompt": "p", "response": " a", "answer": "42"})
    assert record.responses == (" a",) and record.answer == "42"
    (record,) = read(write, {"prompt": "p", "answer": " a", "solution": "7"}, columns={"answer": "solution"})
    assert record.responses == (" a",) and record.answer == "7"


def test_models_go_with_their_responses(write: Callable[..., str]) -> None:
    (record,) = read(write, {**LIST, "scores": [1, 2], "models": ["one", "two"]})
    assert record.models == ("one", "two") and ordered(record, [1, 0]).models == ("two", "one")
    (record,) = read(write, {"prompt": "p", "chosen": " a", "rejected": " b", "models": ["one", "two"]})
    assert record.models == ("one", "two") and record.ranks == (0, 1)
