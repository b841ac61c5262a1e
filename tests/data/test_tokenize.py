"""The boundary is where the tokens say, BOS stands once, EOS is trained, nothing is empty."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Any

import pytest

from tests.data.conftest import CHAT, TEXTS, byte_bpe
from xpo.contracts import Row
from xpo.data.counts import Counts
from xpo.data.errors import DataError
from xpo.data.record import Example, Message
from xpo.data.tokenize import tokenize
from xpo.data.truncate import Limits


def pair(prompt: Any, first: Any, second: Any) -> Example:
    return Example(prompt, (first, second), prefer=((0.0, 1.0), (0.0, 0.0)), demo=(1.0, 0.0), where="f:1")


def rows_of(
    examples: Sequence[Example], tokenizer: Any, counts: Counts | None = None, **limits: Any
) -> list[Row]:
    return tokenize(examples, tokenizer, Limits(**limits), Counts() if counts is None else counts)


def one(example: Example, tokenizer: Any, counts: Counts | None = None, **limits: Any) -> Row:
    (row,) = rows_of([example], tokenizer, counts, **limits)
    return row


def test_prompt_and_responses_spell_the_text(tokenizer: Any) -> None:
    counts = Counts()
    row = one(pair("What is two?", " It is two.", " Four."), tokenizer, counts)
    assert row.prompt[0] == tokenizer.bos_token_id
    assert tokenizer.decode(row.prompt[1:]) == "What is two?"
    assert [tokenizer.decode(response[:-1]) for response in row.responses] == [" It is two.", " Four."]
    assert all(response[-1] == tokenizer.eos_token_id for response in row.responses)
    assert not counts.noted and not counts.dropped


@pytest.mark.parametrize(
    ("prompt", "response"),
    [("Où est le caf", "é ?"), ("日本", "語のテキスト 🙂"), ("🙂", "🙃"), ("é" * 5, "é" * 3), ("", "日本")],
)
def test_multi_byte_text_survives_the_boundary(tokenizer: Any, prompt: str, response: str) -> None:
    row = one(pair(prompt, response, "x"), tokenizer)
    whole = tokenizer.decode([*row.prompt[1:], *row.responses[0][:-1]])
    assert whole == prompt + response


def test_a_token_over_the_boundary_belongs_to_the_response() -> None:
    tokenizer = byte_bpe(["abcd abcd abcd"] * 8, split=False)
    assert tokenizer.tokenize("abcd") == ["abcd"]  # one token, which no prompt "ab" can hold
    counts = Counts()
    row = one(pair("xab", "cd!", "?"), tokenizer, counts)
    assert tokenizer.decode(row.prompt[1:]) == "x"
    assert tokenizer.decode(row.responses[0]) == "abcd!</s>"
    # the other response has no such token, but the prompt is shared: its own "ab" is trained too
    assert tokenizer.decode(row.responses[1]) == "ab?</s>"
    assert counts.noted == {"a token spans prompt and response": 1}


def test_a_prompt_that_merges_away_needs_a_bos() -> None:
    merging = ["abcd abcd abcd"] * 8
    counts = Counts()
    assert rows_of([pair("ab", "cd", "x")], byte_bpe(merging, split=False, bos=False), counts) == []
    assert counts.dropped == {"empty prompt (the tokenizer has no BOS)": 1}
    row = one(pair("ab", "cd", "x"), byte_bpe(merging, split=False))
    assert len(row.prompt) == 1


@pytest.mark.parametrize("prompt", ["Q", "<s>Q", "<s><s>Q"])
@pytest.mark.parametrize("response", [" A", " A</s>", " A</s></s>"])
def test_one_bos_and_one_eos_whatever_the_text_brings(tokenizer: Any, prompt: str, response: str) -> None:
    row = one(pair(prompt, response, " B"), tokenizer)
    assert list(row.prompt).count(tokenizer.bos_token_id) == 1 and row.prompt[0] == tokenizer.bos_token_id
    assert tokenizer.decode(row.responses[0]) == " A</s>"


def test_no_bos_where_the_tokenizer_has_none() -> None:
    row = one(pair("Q", " A", " B"), byte_bpe(TEXTS, bos=False))
    assert len(row.prompt) == 1


def test_bos_that_is_also_eos() -> None:
    tokenizer = byte_bpe(TEXTS, bos_token="</s>")
    row = one(pair("Q", " A", " B"), tokenizer)
    assert [*row.prompt, *row.responses[0]].count(tokenizer.eos_token_id) == 2


def test_eos_is_needed() -> None:
    tokenizer = byte_bpe(TEXTS, eos_token=None)
    with pytest.raises(DataError, match="no EOS token"):
        one(pair("Q", " A", " B"), tokenizer)


def messages(*turns: tuple[str, str]) -> tuple[Message, ...]:
    return tuple(Message(role, content) for role, content in turns)


def test_chat_template_brings_bos_and_eos_once(tokenizer: Any) -> None:
    item = pair(messages(("user", "hi")), messages(("assistant", "yes")), messages(("assistant", "no")))
    row = one(item, tokenizer)
    assert tokenizer.decode(row.prompt) == "<s><|user|>hi</s>\n<|assistant|>"
    assert [tokenizer.decode(response) for response in row.responses] == ["yes</s>", "no</s>"]


def test_a_template_that_ends_turns_without_eos_gets_one() -> None:
    tokenizer = byte_bpe(TEXTS, chat_template=CHAT.replace("{{ eos_token }}", "<end>"))
    item = pair(messages(("user", "hi")), messages(("assistant", "yes")), messages(("assistant", "no")))
    assert tokenizer.decode(one(item, tokenizer).responses[0]) == "yes<end>\n</s>"


def test_a_response_of_several_turns_keeps_them(tokenizer: Any) -> None:
    long = messages(("assistant", "a"), ("user", "b"), ("assistant", "c"))
    row = one(pair(messages(("user", "hi")), long, messages(("assistant", "no"))), tokenizer)
    assert tokenizer.decode(row.responses[0]) == "a</s>\n<|user|>b</s>\n<|assistant|>c</s>"


def test_a_prompt_that_ends_in_the_answer_is_continued(tokenizer: Any) -> None:
    prompt = messages(("user", "hi"), ("assistant", "well, "))
    row = one(pair(prompt, messages(("assistant", "yes")), messages(("assistant", "no"))), tokenizer)
    assert (
        tokenizer.decode([*row.prompt, *row.responses[1]]) == "<s><|user|>hi</s>\n<|assistant|>well, no</s>"
    )


def test_messages_need_a_template() -> None:
    item = pair(messages(("user", "hi")), messages(("assistant", "a")), messages(("assistant", "b")))
    with pytest.raises(DataError, match="f:1: messages need a chat template"):
        one(item, byte_bpe(TEXTS))
    refusing = byte_bpe(TEXTS, chat_template="{{ raise_exception('only tools') }}")
    with pytest.raises(DataError, match="refuses messages of the roles user.*only tools"):
        one(item, refusing)


def test_cut_responses_train_no_eos(tokenizer: Any) -> None:
    counts = Counts()
    row = one(
        pair("Q" * 40, "A" * 30, "B" * 5), tokenizer, counts, max_length=24, min_prompt=6, min_response=6
    )
    first, second = row.responses
    assert len(row.prompt) == 6 and len(first) == 18
    assert tokenizer.eos_token_id not in first and second[-1] == tokenizer.eos_token_id
    assert counts.noted == {"prompt cut": 1, "response cut (no EOS trained)": 1}


def test_long_rows_can_be_dropped(tokenizer: Any) -> None:
    counts = Counts()
    long = {"max_length": 24, "min_prompt": 6, "min_response": 6, "on_long_row": "drop"}
    assert rows_of([pair("Q" * 40, "A", "B")], tokenizer, counts, **long) == []
    assert counts.dropped == {"too long": 1}


def test_identical_responses(tokenizer: Any) -> None:
    counts = Counts()
    assert rows_of([pair("Q", " A", " A")], tokenizer, counts) == []
    assert counts.dropped == {"identical responses": 1}
    # cut to the same tokens is the same
    assert (
        rows_of(
            [pair("Q", "A" * 30 + "b", "A" * 30 + "c")], tokenizer, max_length=8, min_prompt=1, min_response=4
        )
        == []
    )


def test_a_list_keeps_each_response_once(tokenizer: Any) -> None:
    third = 1 / 3
    item = Example(
        "Q",
        (" A", " B", " A"),
        prefer=((0, third, third), (0, 0, third), (0, 0, 0)),
        demo=(1.0, 0.0, 0.0),
        scores=(3.0, 2.0, 1.0),
    )
    counts = Counts()
    row = one(item, tokenizer, counts)
    assert len(row.responses) == 2 and row.scores == (2.0, 2.0), "neither copy's score: their mean"
    assert row.prefer == ((0.0, 0.5), (0.5, 0.0)), "A beats B once, and loses once"
    assert row.demo == (1.0, 0.0)
    assert counts.noted == {"responses that equal another of their row": 1}


def test_progress_and_known_texts(tokenizer: Any) -> None:
    heard: list[tuple[int, int]] = []
    known: dict[str, list[int]] = {}
    items = [pair(f"Q{i}", " A", " B") for i in range(500)]
    tokenize(items, tokenizer, Limits(), Counts(), lambda done, total: heard.append((done, total)), known)
    assert heard == [(1024, 1500), (1500, 1500)]
    tokenize(items, tokenizer, Limits(), Counts(), lambda done, total: heard.append((done, total)), known)
    assert len(heard) == 2  # nothing is left to do


@pytest.mark.parametrize("bos", [True, False])
def test_no_row_is_ever_empty_or_too_long(bos: bool) -> None:
    """Any texts and limits: at least one token everywhere, within the window, EOS or cut."""
    tokenizer = byte_bpe(TEXTS, bos=bos, split=False)
    draw = random.Random(0)
    alphabet = ["It is", " ", "é", "🙂", "four.", "\n", "a", "</s>", "語"]
    for _ in range(150):
        texts = [
            "".join(draw.choices(alphabet, k=draw.randrange(0, 30))) for _ in range(draw.randrange(2, 5))
        ]
        limits = Limits(
            max_length=draw.choice([None, 6, 12, 40]),
            max_prompt_length=draw.choice([None, 1, 9]),
            max_response_length=draw.choice([None, 3, 9]),
            min_prompt=draw.choice([1, 3]),
            min_response=draw.choice([1, 3]),
        )
        item = Example(texts[0], tuple(texts[1:]), demo=(1.0, *(0.0,) * (len(texts) - 2)))
        for row in tokenize([item], tokenizer, limits, Counts()):
            assert len(row.prompt) >= 1
            assert list(row.prompt).count(tokenizer.bos_token_id) == bos
            for response in row.responses:
                assert len(response) >= 1
                assert limits.max_length is None or len(row.prompt) + len(response) <= limits.max_length
                assert limits.max_response_length is None or len(response) <= limits.max_response_length
