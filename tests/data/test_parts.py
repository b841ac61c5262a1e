"""Steps and spans in files: how rows of them are read, and what is wrong with those that are not."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from xpo.annotator.base import Desk
from xpo.compose import build, compose_config
from xpo.data.errors import BadRow, DataError
from xpo.data.jsonl import Jsonl
from xpo.data.parts import separator
from xpo.data.record import Message, Span, Step
from xpo.errors import Waiting

LISTED: dict[str, Any] = {"prompt": "2+2*3?", "completions": ["2*3=6", "2+6=9"], "labels": [True, False]}
MARKED: dict[str, Any] = {
    "prompt": "2+2*3?",
    "completion": "2*3=6 so 9",
    "steps": [{"end": 5, "label": 1}, {"end": 10, "label": -1}],
}
ANSWER: dict[str, Any] = {
    "prompt": "When?",
    "completions": [" In May. Oh.", " In June."],
    "scores": [0, 1],
    "spans": [{"type": "Wrong", "start": 1, "end": 7}],
}


def read(write: Callable[..., str], *rows: dict[str, Any], **settings: Any) -> list[Any]:
    return Jsonl(path=write(list(rows)), test_fraction=0.0, **settings).read().train


def test_steps_as_trl_lists_them(write: Callable[..., str]) -> None:
    (record,) = read(write, LISTED)
    assert record.responses == ("2*3=6\n2+6=9",) and record.labels == (False,)
    assert record.steps == ((Step(5, 1), Step(11, -1)),)
    (record,) = read(write, LISTED, step_separator=r"\n\n")
    assert record.responses == ("2*3=6\n\n2+6=9",) and record.steps == ((Step(5, 1), Step(12, -1)),)


def test_a_separator_is_typed_with_its_escapes() -> None:
    assert [separator(text) for text in (r"\n", "\n", r"\t\n", r" \\n ", "|")] == [
        "\n",
        "\n",
        "\t\n",
        r" \n ",
        "|",
    ]
    with pytest.raises(ValueError, match="step_separator must be at least one character"):
        Jsonl(path="x", step_separator="")


def test_labels_of_three_kinds(write: Callable[..., str]) -> None:
    row = {"prompt": "p", "completions": ["a", "b", "c", "d"], "labels": [1, 0, None, -1]}
    kind = {**row, "labels": [1, 0, None, 1]}
    wrong, right = read(write, row, kind)
    assert [step.label for step in wrong.steps[0]] == [1, 0, None, -1] and wrong.labels == (False,)
    assert right.labels == (True,)


def test_steps_that_a_text_is_marked_with(write: Callable[..., str]) -> None:
    (record,) = read(write, MARKED)
    assert record.responses == ("2*3=6 so 9",) and record.steps == ((Step(5, 1), Step(10, -1)),)
    turns = {**MARKED, "prompt": [{"role": "user", "content": "2+2*3?"}]}
    (record,) = read(write, turns)
    assert record.responses == ((Message("assistant", "2*3=6 so 9"),),)


def test_spans_are_of_the_first_response_or_of_each(write: Callable[..., str]) -> None:
    first, each, clean = read(
        write, ANSWER, {**ANSWER, "spans": [None, ANSWER["spans"]]}, {**ANSWER, "spans": []}
    )
    assert first.spans == ((Span("Wrong", 1, 7),), None)
    assert each.spans == (None, (Span("Wrong", 1, 7),))
    assert clean.spans == ((), None)
    alone = {
        "prompt": "p",
        "completion": "abc",
        "label": True,
        "spans": [{"type": "t", "start": 0, "end": 3}],
    }
    assert read(write, alone)[0].spans == ((Span("t", 0, 3),),)


def test_lists_with_scores_and_further_labels_stay_lists(write: Callable[..., str]) -> None:
    (record,) = read(write, {"prompt": "p", "completions": ["a", "b"], "scores": [1, 0], "labels": [1, 1]})
    assert record.steps is None and record.responses == ("a", "b")


BAD = [
    ({**LISTED, "labels": [True]}, "column 'labels' must be a list of 2 labels, one for each step"),
    ({**LISTED, "labels": [True, 2]}, r"column 'labels\[1\]' must be true, false, 1 \(right\)"),
    ({**LISTED, "labels": [None, None]}, "no step has a label"),
    ({**LISTED, "completions": ["a", " "]}, r"column 'completions\[1\]' is an empty step"),
    ({**LISTED, "completions": "ab"}, "column 'completions' must be a list of texts"),
    ({**LISTED, "completions": []}, "column 'completions' must be a list of texts"),
    ({**MARKED, "steps": [{"end": 99}]}, r"'steps\[0\].end' is 99, and the response has 10 characters"),
    ({**MARKED, "steps": [{"end": 5}, {"end": 5}]}, r"'steps\[1\]' ends at 5 and has no text behind"),
    ({**MARKED, "steps": [{"end": 5}, {"end": 3}]}, r"'steps\[1\]' ends at 3 and has no text behind"),
    ({**MARKED, "steps": [{"end": 5.0}]}, r"'steps\[0\].end' must be a whole number, got 5.0"),
    ({**MARKED, "steps": [{"stop": 5}]}, r"'steps\[0\]' must be an object of end and label"),
    ({**MARKED, "steps": 3}, "column 'steps' must be a list of steps, got 3"),
    ({**ANSWER, "spans": 3}, "column 'spans' must be a list, got 3"),
    ({**ANSWER, "spans": [[], [], []]}, "a list of spans in the first response, or 2 such lists"),
    (
        {**ANSWER, "spans": [{"type": "t", "start": 1}]},
        r"'spans\[0\]' must be an object of type, start and end",
    ),
    ({**ANSWER, "spans": [{"type": "t", "start": 4, "end": 4}]}, "goes from 4 to 4, which is nothing"),
    (
        {**ANSWER, "spans": [{"type": "t", "start": 0, "end": 13}]},
        "is 13, and the response has 12 characters",
    ),
    ({**ANSWER, "spans": [{"type": 1, "start": 0, "end": 3}]}, r"'spans\[0\].type' must be a text, got 1"),
]


@pytest.mark.parametrize(("row", "problem"), BAD)
def test_what_is_wrong_is_said(write: Callable[..., str], row: dict[str, Any], problem: str) -> None:
    with pytest.raises(BadRow, match=f"rows.jsonl:1: .*{problem}"):
        read(write, row)


def test_zeros_without_a_wrong_step_are_no_neutral_ones(write: Callable[..., str]) -> None:
    row = {**LISTED, "labels": [1, 0]}
    with pytest.raises(DataError, match="no step is wrong.*If 0 is wrong here, write false and true"):
        read(write, row)
    assert len(read(write, row, {**LISTED, "labels": [1, -1]})) == 2


def test_real_spans_are_where_the_data_say(real: Path) -> None:
    splits = Jsonl(path=str(real / "qa_feedback.test.jsonl.gz"), test_fraction=0.0).read()
    first = splits.train[0]
    assert first.spans is not None and first.spans[1:] == (None, None, None)
    cut = [str(first.responses[0])[span.start : span.end] for span in first.spans[0] or ()]
    assert [text.split()[0] for text in cut] == ["Mark", "film", "by"]
    kinds = {span.type for record in splits.train for span in (record.spans or ((),))[0] or ()}
    assert kinds == {"Irrelevant", "Wrong-Grounding", "Unverifiable", "Redundant", "Incoherent"}


def test_a_row_with_spans_alone_needs_no_person(write: Callable[..., str], tmp_path: Path) -> None:
    """Nobody is asked for a label of the whole, which nothing would read."""
    spans = [{"type": "t", "start": 0, "end": 3}]
    rows = [{"prompt": f"{i}?", "completion": " abc. Yes.", "spans": spans} for i in range(4)]
    settings = ["algo=reward_span", "data=jsonl", f"data.path={write(rows)}"]
    parts = build(compose_config(settings))
    desk = Desk(tmp_path / "cache", tmp_path / "run")
    (tmp_path / "run").mkdir()
    source = parts.data.open(parts, desk)
    assert len(list(source.texts())) == 6 and not list((tmp_path / "run").iterdir())
    whole = build(compose_config([*settings, "algo=reward_orm"]))
    with pytest.raises(Waiting):
        whole.data.open(whole, desk)
