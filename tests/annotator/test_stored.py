"""Verdicts that come from a file are checked as those that are new."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

import pytest

from xpo.annotator.base import Desk, Labeller, Verdict
from xpo.data.record import Record

ROW = Record("p", ("a", "b"), where="f:1")
GOOD = {"scores": [1.0, 2.0], "wins": [[0.5, 0.3], [0.7, 0.5]], "labels": [True, False], "costs": [0.0, 1.0]}


@dataclass(frozen=True)
class Counted(Labeller):
    """Says always the same, and how often it was asked."""

    gives: ClassVar[frozenset[str]] = frozenset({"scores"})
    asked: list[str] = field(default_factory=list)

    def fingerprint(self, desk: Desk) -> str:
        return "counted"

    def judge(self, records: Sequence[Record], desk: Desk) -> Iterator[Verdict]:
        for record in records:
            self.asked.append(record.where)
            yield Verdict(scores=(3.0, 4.0))


def labelled(folder: Path, value: Any) -> tuple[Record, int]:
    """What is made of a stored verdict, and how often the annotator was asked."""
    Counted()([ROW], Desk(folder))
    (path,) = (folder / "labels").glob("*.jsonl")
    row = json.loads(path.read_text())
    path.write_text(json.dumps({**row, "value": value}) + "\n")
    annotator = Counted()
    (found,) = annotator([ROW], Desk(folder))
    return found, len(annotator.asked)


def test_a_verdict_is_not_asked_for_again(tmp_path: Path):
    found, asked = labelled(tmp_path, {**GOOD, "why": None})
    assert (found.scores, found.wins, asked) == ((1.0, 2.0), ((0.5, 0.3), (0.7, 0.5)), 0)
    assert (found.labels, found.costs) == ((True, False), (0.0, 1.0))


@pytest.mark.parametrize(
    "change",
    [
        {"scores": [float("nan"), 1.0]},
        {"scores": [float("inf"), 1.0]},
        {"scores": [10**400, 1.0]},
        {"scores": [True, False]},
        {"scores": ["1", "2"]},
        {"scores": "12"},
        {"scores": {"0": 1, "1": 2}},
        {"scores": [1.0]},
        {"scores": [1.0, 2.0, 3.0]},
        {"scores": 5},
        {"scores": None, "wins": None, "labels": None, "costs": None},
        {"wins": [[0.5, 1.2], [-0.2, 0.5]]},
        {"wins": [[0.5, 0.9], [0.9, 0.5]]},
        {"wins": [[0.5, float("nan")], [0.5, 0.5]]},
        {"wins": [[0.5, 0.5]]},
        {"wins": [[0.5], [0.5]]},
        {"wins": [1, 2]},
        {"labels": [1, 0]},
        {"labels": [True]},
        {"costs": [float("-inf"), 0.0]},
        {"costs": 1.0},
        {"parts": [[[1, 0.5]]]},
        {"parts": 3},
    ],
    ids=str,
)
def test_what_is_no_verdict_is_asked_for_anew(change: dict[str, Any], tmp_path: Path):
    found, asked = labelled(tmp_path, {**GOOD, "why": None, **change})
    assert (found.scores, found.wins, asked) == ((3.0, 4.0), None, 1)
    assert (found.labels, found.costs, found.parts) == (None, None, None)


@pytest.mark.parametrize("value", [5, "x", [1], None, {}, {"scores": [1.0, 2.0]}], ids=str)
def test_neither_is_a_value_of_another_kind(value: Any, tmp_path: Path):
    assert labelled(tmp_path, value)[1] == 1
