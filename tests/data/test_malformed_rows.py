"""Malformed rows say where they stand, what is wrong, and how a row should be."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from tests.data.test_rows import A, U, turn
from xpo.data.errors import BadRow, DataError
from xpo.data.jsonl import Jsonl

PAIR = {"prompt": "p", "chosen": " a", "rejected": " b"}
LIST = {"prompt": "p", "completions": [" a", " b"], "scores": [1, 0]}

BAD = [
    (
        "preference",
        {"prompt": "p", "chosen": " a", "regected": " b"},
        "column 'rejected' is missing",
        "missing column",
    ),
    ("preference", {**PAIR, "chosen": None}, "column 'chosen' is null", "missing value"),
    ("preference", {**PAIR, "chosen": ""}, "column 'chosen' is an empty response", "empty response"),
    (
        "preference",
        {**PAIR, "chosen": 3},
        "column 'chosen' must be a text or a list of messages, got 3",
        "wrong type",
    ),
    (
        "preference",
        {**PAIR, "prompt": 3},
        "column 'prompt' must be a text or a list of messages",
        "wrong type",
    ),
    ("preference", {**PAIR, "prompt": "\ud83d"}, "column 'prompt' has half of a surrogate", "broken Unicode"),
    ("preference", {**PAIR, "chosen": [turn(A, "x\udc00")]}, "at character 2", "broken Unicode"),
    ("list", {**LIST, "scores": [10**400, 1]}, "beyond 1e308: 1000", "non-finite number"),
    ("preference", {**PAIR, "prompt": []}, "column 'prompt' is an empty list of messages", "no message"),
    (
        "preference",
        {**PAIR, "chosen": [{"role": A}]},
        "needs a text 'role' and a text 'content'",
        "wrong type",
    ),
    ("preference", {**PAIR, "chosen": ["a"]}, "a message must be an object, got 'a'", "wrong type"),
    (
        "preference",
        {**PAIR, "chosen": [turn(A, "")]},
        "column 'chosen' is an empty response",
        "empty response",
    ),
    (
        "preference",
        {**PAIR, "chosen": [{**turn(A, "a"), "tool_calls": [1]}]},
        "a message has tool_calls, which cannot be read",
        "wrong type",
    ),
    (
        "preference",
        {"chosen": [turn(U, "q"), turn(A, "a")], "rejected": [turn(U, "r"), turn(A, "b")]},
        "do not start with the same prompt",
        "no prompt",
    ),
    (
        "list",
        {**LIST, "scores": [1]},
        "column 'scores' has 1 entries and 'completions' has 2",
        "unequal lengths",
    ),
    (
        "list",
        {**LIST, "scores": [1, float("nan")]},
        r"column 'scores\[1\]' must be finite, got nan",
        "non-finite number",
    ),
    (
        "list",
        {**LIST, "scores": [1, float("inf")]},
        r"column 'scores\[1\]' must be finite, got inf",
        "non-finite number",
    ),
    ("list", {**LIST, "scores": [1, "2"]}, r"column 'scores\[1\]' must be a number, got '2'", "wrong type"),
    ("list", {**LIST, "scores": [1, True]}, r"column 'scores\[1\]' must be a number, got True", "wrong type"),
    ("list", {**LIST, "scores": 1}, "column 'scores' must be a list of numbers, got 1", "wrong type"),
    (
        "list",
        {**LIST, "scores": None, "wins": [[0.5, 1], [0, 0.5]]},
        "needs a column 'scores' or 'ranks', beside 'wins'",
        "missing column",
    ),
    (
        "list",
        {"prompt": "p", "completions": [" a", " b"], "scroes": [1, 0]},
        "no column 'scores' or 'ranks', and nothing reads 'scroes'. Did you mean 'scores'",
        "missing column",
    ),
    ("list", {**LIST, "answer": [3]}, "column 'answer' must be a text or a number", "wrong type"),
    ("list", {**LIST, "answer": True}, "column 'answer' must be a text or a number", "wrong type"),
    ("list", {**LIST, "models": ["one"]}, "column 'models' must be a list of 2 names", "wrong type"),
    ("preference", {**PAIR, "models": ["one", ""]}, "column 'models' must be a list of 2", "wrong type"),
    ("list", {**LIST, "completions": " a"}, "column 'completions' must be a list", "wrong type"),
    ("list", {**LIST, "completions": []}, "column 'completions' must be a list", "wrong type"),
    (
        "list",
        {**LIST, "completions": [" a", ""]},
        r"column 'completions\[1\]' is an empty response",
        "empty response",
    ),
    ("list", {**LIST, "wins": [[0.5, 1]]}, "column 'wins' must be a 2 x 2 matrix", "unequal lengths"),
    ("list", {**LIST, "wins": [[0.5, 2], [0, 0.5]]}, "column 'wins' holds probabilities", "out of range"),
    (
        "unpaired",
        {"prompt": "p", "completion": " a", "label": "yes"},
        "column 'label' must be true or false",
        "wrong type",
    ),
    (
        "unpaired",
        {"prompt": "p", "completion": " a", "labels": True},
        "no column 'label', and nothing reads 'labels'. Did you mean 'label'",
        "missing column",
    ),
    ("scored", {"prompt": "p", "completion": " a", "score": None}, "column 'score' is null", "missing value"),
    (
        "demonstration",
        {"prompt": "p"},
        "a demonstration needs 'completion', 'messages' or 'text'",
        "missing column",
    ),
    (
        "demonstration",
        {"prompt": "p", "completion": ""},
        "'completion' is an empty response",
        "empty response",
    ),
]
GOOD = {
    "preference": PAIR,
    "list": LIST,
    "unpaired": {"prompt": "p", "completion": " a", "label": True},
    "scored": {"prompt": "p", "completion": " a", "score": 1},
    "demonstration": {"prompt": "p", "completion": " a"},
}


@pytest.mark.parametrize(("form", "row", "message", "kind"), BAD)
def test_malformed_row(
    write: Callable[..., str], form: str, row: dict[str, Any], message: str, kind: str
) -> None:
    path = write("".join(json.dumps(line) + "\n" for line in (GOOD[form], row)))
    with pytest.raises(BadRow, match=message) as caught:
        Jsonl(path=path, format=form).read()  # type: ignore[arg-type]
    text = str(caught.value)
    assert text.startswith(f"{path}:2: ") and "A valid row: {" in text and "data.on_bad_row=skip" in text
    splits = Jsonl(path=path, format=form, on_bad_row="skip", test_fraction=0.0).read()  # type: ignore[arg-type]
    assert len(splits.train) == 1 and splits.counts["train"].read == 2
    assert dict(splits.counts["train"].dropped) == {f"bad row: {kind}": 1}


def test_broken_line_can_be_skipped(write: Callable[..., str]) -> None:
    path = write(json.dumps(PAIR) + "\n{broken\n" + json.dumps(PAIR))
    splits = Jsonl(path=path, on_bad_row="skip", test_fraction=0.0).read()
    assert len(splits.train) == 2 and splits.counts["train"].read == 3
    assert splits.counts["train"].dropped == {"bad row: broken JSON": 1}


def test_first_row_malformed_is_told_as_such(write: Callable[..., str]) -> None:
    path = write([{"prompt": "p", "chosen": " a"}, PAIR])
    with pytest.raises(
        DataError, match=r"rows.jsonl:1: column 'rejected' is missing \(found: prompt, chosen\)"
    ):
        Jsonl(path=path).read()
