"""What parts of responses are worth stands at the token that holds their last character."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from xpo.data.errors import DataError
from xpo.data.prompts import Prompt, said_in_text
from xpo.data.record import Record
from xpo.data.tokenize import ids_of
from xpo.model.tokens import train_bpe
from xpo.on_policy import answered
from xpo.on_policy.answered import Answered

EOS = 2


@pytest.fixture(scope="module")
def tokenizer() -> Any:
    return train_bpe(["one two three. four five.", "naïve café ☃ 東京"] * 4, 280)


def placed(tokenizer: Any, response: list[int], *parts: tuple[int, float]) -> list[float]:
    asked = Prompt(tuple(ids_of("one", tokenizer)), (), Record("one", (), where="p:1"))
    record = dataclasses.replace(said_in_text(tokenizer)(asked, [response]), parts=(parts,))
    answer = Answered(asked, [response], [[0.0] * len(response)], [True], record, [0.0])
    return answer.placed(tokenizer)[0]


def by_bytes(tokenizer: Any, text: str) -> list[int]:
    known = tokenizer.get_vocab()
    return [known[piece] for token in tokenizer.tokenize(text) for piece in token]


def test_one_token_for_each_character(tokenizer: Any) -> None:
    ids = [*by_bytes(tokenizer, " two."), EOS]
    assert len(ids) == 6
    assert placed(tokenizer, ids, (2, 0.5), (5, -1.0)) == [0, 0.5, 0, 0, -1.0, 0]


def test_a_character_of_several_tokens_ends_with_its_last(tokenizer: Any) -> None:
    """A snowman is three bytes: two parts end behind it and behind the full stop."""
    ids = by_bytes(tokenizer, "☃.")
    assert len(ids) == 4
    assert placed(tokenizer, ids, (1, 0.5), (2, 0.25)) == [0, 0, 0.5, 0.25]


def test_parts_within_one_token_add_up(tokenizer: Any) -> None:
    whole = max(range(len(tokenizer)), key=lambda i: len(tokenizer.decode([i])))
    text = tokenizer.decode([whole])
    assert len(text) > 2
    assert placed(tokenizer, [whole, EOS], (1, 0.5), (len(text), 0.25)) == [0.75, 0]


def test_what_ends_behind_the_text_stands_at_the_last_token(tokenizer: Any) -> None:
    ids = [*by_bytes(tokenizer, "two"), EOS]
    assert placed(tokenizer, ids, (9, 1.0)) == [0, 0, 0, 1.0]


def test_a_record_without_parts_is_told(tokenizer: Any) -> None:
    said = Record("p", ("",), where="p:3")
    answer = Answered(Prompt((1,), (1,), said), [[EOS]], [[0.0]], [True], said, [0.0])
    with pytest.raises(DataError, match="p:3: the annotator says nothing of parts"):
        answer.placed(tokenizer)


def test_a_part_that_is_moved_by_one_is_caught(tokenizer: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    right = answered.bisect_left
    monkeypatch.setattr(answered, "bisect_left", lambda ends, end: right(ends, end + 1))
    with pytest.raises(AssertionError):
        test_one_token_for_each_character(tokenizer)
