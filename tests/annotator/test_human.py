"""Who is asked, for what kind of label, and where labels are found again."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import pytest

from xpo.annotator.base import Desk, LabelError, content_key
from xpo.annotator.human import Human
from xpo.annotator.store import Store
from xpo.data.counts import Counts
from xpo.data.errors import DataError
from xpo.data.label import label, objection
from xpo.data.record import Feedback, Record, Splits
from xpo.errors import Waiting
from xpo.feedback.binary import Binary
from xpo.feedback.contrast import Contrast
from xpo.feedback.demonstration import Demonstration
from xpo.feedback.preference import Preference
from xpo.feedback.scalar import Scalar

PAIR = Record("p", ("a", "b"), where="f:1")
OTHER = Record("q", ("a", "b"), where="f:2")
SINGLE = Record("p", ("a",), where="f:3")
RANKED = Record("p", ("c", "d"), ranks=(1, 0), where="f:4")
NONE: frozenset[str] = frozenset()
CHOICE, SCORES = {"choice", "scores"}, {"scores"}
ASKED: list[tuple[Feedback, frozenset[str], Record, set[str]]] = [
    (Preference(), NONE, PAIR, CHOICE),
    (Preference(), frozenset({"scores"}), PAIR, SCORES),
    (Scalar(), NONE, PAIR, SCORES),
    (Scalar(), NONE, SINGLE, SCORES),
    (Binary(), NONE, SINGLE, {"label"}),
    (Binary(threshold=0.5), NONE, SINGLE, SCORES),
    (Binary(threshold=0.5), NONE, PAIR, SCORES),
    (Contrast(), NONE, PAIR, CHOICE),
    (Demonstration(), NONE, PAIR, CHOICE),
]


def desk(tmp: Path, feedback: Feedback | None = None, needs: frozenset[str] = NONE, out: str = "run") -> Desk:
    (tmp / out).mkdir(exist_ok=True)
    return Desk(tmp / "cache", tmp / out, objection=objection(feedback or Preference(), needs))


def asked(tmp: Path, out: str = "run") -> list[dict[str, Any]]:
    return [json.loads(line) for line in (tmp / out / "to_label.jsonl").read_text().splitlines()]


def answer(tmp: Path, out: str = "run", **said: Any) -> None:
    """Into every row that has no label yet."""
    rows = [row if any(row.get(k) for k in said) else {**row, **said} for row in asked(tmp, out)]
    (tmp / out / "to_label.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))


def test_labels_that_are_there_stay(tmp_path: Path) -> None:
    assert Human()([RANKED], desk(tmp_path)) == [RANKED]
    assert Human()([PAIR]) == [PAIR]  # nobody to ask: the feedback says what is missing
    nowhere = dataclasses.replace(desk(tmp_path), out=None)
    assert Human()([PAIR], nowhere) == [PAIR]
    assert not (tmp_path / "run" / "to_label.jsonl").exists()


def test_rows_without_a_label_wait(tmp_path: Path) -> None:
    with pytest.raises(Waiting, match="waiting: 2 of 3 rows have no label .the first is f:1") as caught:
        Human()([PAIR, RANKED, OTHER], desk(tmp_path))
    assert "xpo label" in str(caught.value) and "hydra.run.dir=" in str(caught.value)
    assert [row["prompt"] for row in asked(tmp_path)] == ["p", "q"]
    assert asked(tmp_path)[0] == {
        "key": content_key(PAIR), "where": "f:1", "prompt": "p", "completions": ["a", "b"],
        "choice": None, "scores": None,
    }  # fmt: skip


def test_it_goes_on_when_all_are_labelled(tmp_path: Path) -> None:
    with pytest.raises(Waiting):
        Human()([PAIR], desk(tmp_path))
    answer(tmp_path, choice=2)
    with pytest.raises(Waiting, match="1 of 3"):  # another row came in: the file keeps what it has
        Human()([PAIR, RANKED, OTHER], desk(tmp_path))
    answer(tmp_path, choice=1)
    found = Human()([PAIR, RANKED, OTHER], desk(tmp_path))
    assert [record.ranks for record in found] == [(1, 0), (1, 0), (0, 1)]
    assert found[0].where == "f:1"


def test_labels_are_found_again_by_content(tmp_path: Path) -> None:
    with pytest.raises(Waiting):
        Human()([PAIR], desk(tmp_path))
    answer(tmp_path, scores=[1, 3])
    Human()([PAIR], desk(tmp_path))
    moved = dataclasses.replace(PAIR, where="elsewhere:7")
    assert Human()([moved], desk(tmp_path, out="other"))[0].scores == (1.0, 3.0)
    with pytest.raises(Waiting, match="1 of 1"):  # the responses in another order are another question
        Human()([dataclasses.replace(PAIR, responses=("b", "a"))], desk(tmp_path, out="other"))
    answer(tmp_path, scores=[9, 8])  # already labelled: the file stays
    rows = asked(tmp_path)
    (tmp_path / "run" / "to_label.jsonl").write_text(json.dumps({**rows[0], "scores": [5, 4]}) + "\n")
    assert Human()([PAIR], desk(tmp_path))[0].scores == (5.0, 4.0)  # what was edited last counts
    assert Store(tmp_path / "cache" / "labels" / "human.jsonl").get(content_key(PAIR)) == {"scores": [5, 4]}


def named(value: object) -> str:
    """An id that does not depend on the order of a set: every worker must collect the same names."""
    return "+".join(sorted(map(str, value))) if isinstance(value, set | frozenset) else str(value)


@pytest.mark.parametrize(("feedback", "needs", "record", "ways"), ASKED, ids=named)
def test_only_labels_that_can_be_trained_on_are_asked_for(
    tmp_path: Path, feedback: Feedback, needs: frozenset[str], record: Record, ways: set[str]
) -> None:
    place = desk(tmp_path, feedback, needs)
    with pytest.raises(Waiting):
        Human()([record], place)
    (row,) = asked(tmp_path)
    assert {"choice", "scores", "label"} & row.keys() == ways
    values = {"choice": 1, "scores": [0.7] * len(record.responses), "label": True}
    for way, value in values.items():
        (tmp_path / "run" / "to_label.jsonl").write_text(json.dumps({**row, way: value}) + "\n")
        if way in ways:
            assert feedback(Human()([record], place), Counts())
            continue
        try:
            assert not feedback(Human()([record], place), counts := Counts()) and counts.dropped
        except DataError as error:
            assert "to_label.jsonl:1: " in str(error)


def test_what_no_label_of_a_person_mends_is_said_at_once(tmp_path: Path) -> None:
    with pytest.raises(LabelError, match="f:1: this combination needs margins"):
        Human()([PAIR], desk(tmp_path, needs=frozenset({"margins"})))
    with pytest.raises(LabelError, match="f:3: feedback=preference needs comparisons"):
        Human()([dataclasses.replace(SINGLE)], desk(tmp_path, Preference(soft=True)))


def test_what_is_only_imitated_needs_no_label(tmp_path: Path) -> None:
    assert Human()([SINGLE], desk(tmp_path, Demonstration())) == [SINGLE]


def test_both_splits_wait_together(tmp_path: Path) -> None:
    splits = Splits([PAIR, RANKED], [OTHER], [], {})
    with pytest.raises(Waiting, match="waiting: 2 of 3 rows") as caught:
        label(Human(), splits, desk(tmp_path))
    assert (caught.value.left, caught.value.total) == (2, 3)
    assert [row["prompt"] for row in asked(tmp_path)] == ["p", "q"]


def test_a_bad_edit_ends_the_run_with_its_line(tmp_path: Path) -> None:
    with pytest.raises(Waiting):
        Human()([PAIR], desk(tmp_path))
    answer(tmp_path, choice=3)
    with pytest.raises(DataError, match="to_label.jsonl:1: choice must be 1 to 2"):
        Human()([PAIR], desk(tmp_path))


@pytest.mark.parametrize(
    "stored",
    [
        [1],
        "x",
        5,
        {},
        {"choice": 1, "scores": [1, 2]},
        {"foo": 1},
        {"choice": 3},
        {"scores": [1, 10**400]},
        None,
    ],
    ids=str,
)
def test_what_is_no_label_in_the_store_is_asked_for_anew(tmp_path: Path, stored: Any) -> None:
    Store(tmp_path / "cache" / "labels" / "human.jsonl").put(content_key(PAIR), stored)
    with pytest.raises(Waiting, match="1 of 1 rows have no label"):
        Human()([PAIR], desk(tmp_path))
    answer(tmp_path, choice=2)
    assert Human()([PAIR], desk(tmp_path))[0].ranks == (1, 0)
