"""Answers that are kept as they come: asked once, in order, each under its own question and draw."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.judge.asking import questions
from tests.judge.scripted import Scripted, text
from xpo.annotator.store import Store
from xpo.errors import UserError
from xpo.judge.backend import Conversation, Draw
from xpo.judge.remembered import Remembered


def says(conversation: Conversation, number: int) -> str:
    if text(conversation) == "bad":
        raise UserError("gone")
    return f"{text(conversation)}{number}"


def backend(path: Path) -> tuple[Remembered, Scripted]:
    scripted = Scripted(say=says)
    return Remembered(scripted, Store(path)), scripted


def test_what_is_known_is_not_asked_again(tmp_path: Path) -> None:
    path, draw = tmp_path / "answers.jsonl", Draw(8, 1.0, n=2)
    made, first = backend(path)
    with pytest.raises(UserError, match="gone"):
        list(made.answers(questions("a", "b", "bad", "c"), draw))
    assert len(first.asked) == 3  # the third is the one that fails
    again, second = backend(path)
    assert list(again.answers(questions("c", "a", "b", "c"), draw)) == [
        ("c0", "c1"), ("a0", "a1"), ("b0", "b1"), ("c0", "c1"),
    ]  # fmt: skip
    assert [text(one) for one in second.asked] == ["c"]


def test_another_draw_is_another_answer(tmp_path: Path) -> None:
    path = tmp_path / "answers.jsonl"
    for draw in (Draw(8), Draw(9), Draw(8, seed=1)):
        made, scripted = backend(path)
        assert list(made.answers(questions("a"), draw)) == [("a0",)]
        assert len(scripted.asked) == 1


def test_a_damaged_entry_is_asked_for_anew(tmp_path: Path) -> None:
    path, draw = tmp_path / "answers.jsonl", Draw(8)
    made, _ = backend(path)
    list(made.answers(questions("a"), draw))
    path.write_text(path.read_text().replace('["a0"]', "[5]"))
    again, scripted = backend(path)
    assert list(again.answers(questions("a"), draw)) == [("a0",)] and len(scripted.asked) == 1
