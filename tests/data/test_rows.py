"""Rows of each format become records."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from xpo.data.jsonl import Jsonl
from xpo.data.record import Message, Record

U, A = "user", "assistant"


def turn(role: str, content: str) -> dict[str, str]:
    return {"role": role, "content": content}


def one(write: Callable[..., str], row: dict[str, Any], **options: Any) -> Record:
    return Jsonl(path=write([row]), **options).read().train[0]


def test_preference(write: Callable[..., str]) -> None:
    record = one(
        write, {"prompt": "p", "chosen": " a", "rejected": " b", "score_chosen": 3, "score_rejected": 1.5}
    )
    assert record.responses == (" a", " b") and record.ranks == (0, 1) and record.scores == (3.0, 1.5)
    assert record.where.endswith("rows.jsonl:1")


@pytest.mark.parametrize(
    ("chosen", "rejected", "prompt", "responses"),
    [
        # a transcript's prompt ends with the last answer's mark
        (
            "\n\nHuman: hi\n\nAssistant: I can",
            "\n\nHuman: hi\n\nAssistant: I will",
            "\n\nHuman: hi\n\nAssistant:",
            (" I can", " I will"),
        ),
        # else with the last word that both have; the white space is the response's
        ("Say it: yes please", "Say it: no", "Say it:", (" yes please", " no")),
        ("Say it: yes", "Say it: yellow", "Say it:", (" yes", " yellow")),
        ("abc", "xyz", "", ("abc", "xyz")),
        ("Say it: yes", "Say it: yes sir", "Say it:", (" yes", " yes sir")),
    ],
)
def test_implicit_prompt(
    write: Callable[..., str], chosen: str, rejected: str, prompt: str, responses: tuple[str, str]
) -> None:
    record = one(write, {"chosen": chosen, "rejected": rejected})
    assert (record.prompt, record.responses) == (prompt, responses)


QUESTION = (Message(U, "q"),)


@pytest.mark.parametrize(
    "row",
    [
        {"prompt": [turn(U, "q")], "chosen": [turn(A, "a")], "rejected": [turn(A, "b")]},
        {"prompt": [turn(U, "q")], "chosen": turn(A, "a"), "rejected": turn(A, "b")},
        {"chosen": [turn(U, "q"), turn(A, "a")], "rejected": [turn(U, "q"), turn(A, "b")]},
        {"prompt": "q", "chosen": [turn(U, "q"), turn(A, "a")], "rejected": [turn(U, "q"), turn(A, "b")]},
        {"prompt": "q", "chosen": [turn(A, "a")], "rejected": [turn(A, "b")]},
        {
            "chosen": [{"from": "human", "value": "q"}, {"from": "gpt", "value": "a"}],
            "rejected": [{"from": "human", "value": "q"}, {"from": "gpt", "value": "b"}],
        },
    ],
)
def test_conversations(write: Callable[..., str], row: dict[str, Any]) -> None:
    record = one(write, row)
    assert record.prompt == QUESTION
    assert record.responses == ((Message(A, "a"),), (Message(A, "b"),))


def test_messages_prompt_with_plain_responses(write: Callable[..., str]) -> None:
    record = one(write, {"prompt": [turn(U, "q")], "chosen": "a", "rejected": "b"})
    assert record.responses == ((Message(A, "a"),), (Message(A, "b"),))


def test_list(write: Callable[..., str]) -> None:
    row = {"prompt": "p", "completions": ["a", "b", "c"], "scores": [1, 3, 2]}
    assert one(write, row).scores == (1.0, 3.0, 2.0)
    row = {"prompt": "p", "completions": ["a", "b", "c"], "ranks": [7, 1, 7]}
    assert one(write, row).ranks == (1, 0, 1)
    row |= {"scores": [0.1, 0.9, 0.2], "wins": [[0.5, 0.1, 0.5], [0.9, 0.5, 1], [0.5, 0, 0.5]]}
    record = one(write, row)
    assert record.merit == (-1.0, 0.0, -1.0) and record.scores == (0.1, 0.9, 0.2)
    assert record.wins is not None and record.wins[1] == (0.9, 0.5, 1.0)


@pytest.mark.parametrize(("label", "expected"), [(True, True), (False, False), (1, True), (0, False)])
def test_unpaired(write: Callable[..., str], label: Any, expected: bool) -> None:
    assert one(write, {"prompt": "p", "completion": " a", "label": label}).labels == (expected,)


def test_scored(write: Callable[..., str]) -> None:
    assert one(write, {"prompt": "p", "completion": " a", "score": 0.25}).scores == (0.25,)


def test_demonstrations(write: Callable[..., str]) -> None:
    assert one(write, {"prompt": "p", "completion": " a"}).responses == (" a",)
    record = one(write, {"text": "all of it"})
    assert (record.prompt, record.responses) == ("", ("all of it",))
    record = one(write, {"messages": [turn(U, "q"), turn(A, "x"), turn(U, "r"), turn(A, "a")]})
    assert [message.content for message in record.prompt] == ["q", "x", "r"]  # type: ignore[union-attr]
    assert record.responses == ((Message(A, "a"),),)
