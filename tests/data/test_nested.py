"""Beginnings of a response: the token at which each part ends, told by hand."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import pytest
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers
from transformers import PreTrainedTokenizerFast

from tests.data.handmade import merging
from xpo.arity.list import List
from xpo.arity.single import Single
from xpo.contracts import Row
from xpo.data.counts import Counts
from xpo.data.errors import DataError
from xpo.data.nested import Cutter
from xpo.data.record import Message, Record, Step, Text
from xpo.data.tokenize import tokenize
from xpo.data.truncate import Limits
from xpo.feedback.binary import Binary
from xpo.reward_level.step import StepLevel


def rows_of(
    tokenizer: Any,
    prompt: Text,
    response: Text,
    steps: Sequence[tuple[int, int | None]],
    limits: Limits | None = None,
    **parts: Any,
) -> tuple[list[Row], Counts]:
    arity, level = parts.get("arity", List()), parts.get("level", StepLevel())
    record = Record(prompt, (response,), labels=(True,), steps=(tuple(Step(*step) for step in steps),))
    counts = Counts()
    examples = arity(Binary()(level.units([record], nested=True), counts), counts)
    return tokenize(examples, tokenizer, limits or Limits(), counts, ends=False), counts


def said(tokenizer: Any, row: Row) -> list[list[str]]:
    return [tokenizer.convert_ids_to_tokens(list(response)) for response in row.responses]


# a | Ã © (é) | .Ċ, merged over the boundary | æ¼ ¢ (漢, three bytes, two of them merged) | Ċ | b | Ċ |
# c | ð Ł Ļ Ĥ (an emoji of four bytes) -- positions 0; 1, 2; 3; 4, 5; 6; 7; 8; 9; 10 to 13
MIXED = "aé.\n漢\nb\nc🙂"
MERGES = (".", "Ċ"), ("æ", "¼")
ENDS = {"é.": (3, 4), "漢": (5, 6), "b": (7, 8), "c🙂": (10, 14)}
"""Each step: its end in characters, and how many tokens the solution up to there has."""


def test_ends_are_the_tokens_of_last_characters() -> None:
    tokenizer = merging(*MERGES)
    steps = [(characters, 1) for characters, _ in ENDS.values()]
    ((row,), counts) = rows_of(tokenizer, "Q:", MIXED, steps)
    assert tokenizer.convert_ids_to_tokens(list(row.prompt)) == ["<s>", "Q", ":"]
    assert [len(response) for response in row.responses] == [size for _, size in ENDS.values()]
    found = said(tokenizer, row)
    assert found[0] == ["a", "Ã", "©", ".Ċ"]  # the merged token holds the step's last character
    assert found[1] == ["a", "Ã", "©", ".Ċ", "æ¼", "¢"]  # the last of the character's tokens
    assert found[3][-4:] == ["ð", "Ł", "Ļ", "Ĥ"] and tokenizer.eos_token not in found[3]
    assert not counts.noted and not counts.dropped


def test_one_token_too_early_or_late_is_another_reading(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the trace above would not let pass: an end that is off by one."""
    for wrong in (-1, 1):
        with monkeypatch.context() as broken:
            right = Cutter.cut

            def off(self: Any, *given: Any, by: int = wrong, right: Any = right) -> Any:
                cut = right(self, *given)
                return dataclasses.replace(cut, sizes=[size + by for size in cut.sizes])

            broken.setattr(Cutter, "cut", off)
            with pytest.raises(AssertionError):
                test_ends_are_the_tokens_of_last_characters()


def test_white_space_at_the_end_of_a_step_belongs_to_nothing() -> None:
    tokenizer = merging()
    ((row,), _) = rows_of(tokenizer, "Q:", "one \n two", [(5, 1), (9, -1)])
    assert [len(response) for response in row.responses] == [3, 9]


def test_two_parts_that_end_in_one_token_add_up_their_masses() -> None:
    """ "xy" is one token: the step x and the step y are read at the same place."""
    tokenizer = merging(("x", "y"))
    ((row,), counts) = rows_of(tokenizer, "Q:", "xyz", [(1, 1), (2, -1), (3, 1)])
    assert said(tokenizer, row) == [["xy"], ["xy", "z"]]
    assert row.good == pytest.approx([1 / 3, 1 / 3]) and row.bad == pytest.approx([1 / 3, 0])
    assert row.weight == 3
    assert counts.noted == {"parts that end in the same token as another": 1}


def test_a_token_that_spans_prompt_and_response_is_the_responses() -> None:
    tokenizer = merging((":", "Ġ"))
    ((row,), counts) = rows_of(tokenizer, "Q:", " ab", [(2, 1), (3, 1)])
    assert tokenizer.convert_ids_to_tokens(list(row.prompt)) == ["<s>", "Q"]
    assert said(tokenizer, row) == [[":Ġ", "a"], [":Ġ", "a", "b"]]
    assert counts.noted == {"a token spans prompt and response": 1}


def test_characters_that_a_normalizer_changes() -> None:
    """e and an accent of its own become é, two bytes; a ligature becomes two letters."""
    tokenizer = merging(normalizer=normalizers.NFKC())
    ((row,), _) = rows_of(tokenizer, "Q:", "ae\u0301x\ufb01y", [(3, 1), (4, 1), (5, 1), (6, 1)])
    assert said(tokenizer, row)[-1] == ["a", "Ã", "©", "x", "f", "i", "y"]
    assert [len(response) for response in row.responses] == [3, 4, 6, 7]


def test_bytes_of_a_vocabulary_of_characters() -> None:
    vocabulary = {"<unk>": 0, "<s>": 1, "</s>": 2, "▁": 3, "a": 4, "b": 5, "▁a": 6}
    vocabulary |= {f"<0x{byte:02X}>": len(vocabulary) + byte for byte in range(256)}
    core = Tokenizer(models.BPE(vocab=vocabulary, merges=[("▁", "a")], byte_fallback=True, unk_token="<unk>"))
    core.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="never", split=False)
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=core, bos_token="<s>", eos_token="</s>")
    ((row,), _) = rows_of(tokenizer, "b", " a漢 a🙂b", [(3, 1), (5, -1), (6, 1), (7, 1)])
    assert [len(response) for response in row.responses] == [4, 9, 10, 5]  # the bad one last
    assert said(tokenizer, row)[3] == ["▁a", "<0xE6>", "<0xBC>", "<0xA2>", "▁a"]


LABELLED = [(1, 1), (3, -1), (5, None), (7, 0), (9, 1)]
LETTERS = "a\nb\nc\nd\ne"  # one token each, ends 1, 3, 5, 7, 9


def masses(row: Row) -> dict[int, tuple[float, float]]:
    """Tokens of each response: its masses."""
    assert row.good is not None and row.bad is not None
    return {len(r): (good, bad) for r, good, bad in zip(row.responses, row.good, row.bad, strict=True)}


def test_labels_become_masses() -> None:
    tokenizer = merging()
    ((row,), _) = rows_of(tokenizer, "Q:", LETTERS, LABELLED)
    assert masses(row) == {1: (0.25, 0), 3: (0, 0.25), 7: (0.25, 0), 9: (0.25, 0)} and row.weight == 4
    ((row,), _) = rows_of(tokenizer, "Q:", LETTERS, LABELLED, level=StepLevel(neutral="half"))
    assert masses(row) == {1: (0.25, 0), 3: (0, 0.25), 7: (0.125, 0.125), 9: (0.25, 0)}
    ((row,), _) = rows_of(tokenizer, "Q:", LETTERS, LABELLED, level=StepLevel(neutral="drop"))
    third = pytest.approx(1 / 3)
    assert masses(row) == {1: (third, 0), 3: (0, third), 9: (third, 0)} and row.weight == 3


def test_truncation_takes_late_labels_and_counts_them() -> None:
    tokenizer = merging()
    limits = Limits(max_response_length=4, min_response=1)
    ((row,), counts) = rows_of(tokenizer, "Q:", LETTERS, LABELLED, limits)
    assert masses(row) == {1: (0.5, 0), 3: (0, 0.5)} and row.weight == pytest.approx(2)
    assert counts.noted == {"parts beyond the window (their labels are lost)": 2}
    rows, counts = rows_of(tokenizer, "Q:", LETTERS, [(9, 1)], limits)
    assert not rows and counts.dropped == {"no part ends within the window": 1}
    rows, counts = rows_of(
        tokenizer, "Q:", LETTERS, LABELLED, dataclasses.replace(limits, on_long_row="drop")
    )
    assert not rows and counts.dropped == {"too long": 1}


def test_the_prompt_gives_way_first() -> None:
    tokenizer = merging()
    limits = Limits(max_length=12, min_prompt=2, min_response=1)
    ((row,), counts) = rows_of(tokenizer, "a prompt of many words:", LETTERS, LABELLED, limits)
    assert tokenizer.convert_ids_to_tokens(list(row.prompt)) == ["<s>", "s", ":"]
    assert sorted(masses(row)) == [1, 3, 7, 9] and counts.noted == {"prompt cut": 1}


def test_text_behind_the_last_part_takes_no_room() -> None:
    tokenizer = merging()
    limits = Limits(max_length=8, min_prompt=2, min_response=1)
    ((row,), counts) = rows_of(tokenizer, "Q:", "ab" + "x" * 99, [(1, 1), (2, 1)], limits)
    assert sorted(masses(row)) == [1, 2] and len(row.prompt) == 3 and not counts.noted


def test_a_solution_of_one_step_is_a_row() -> None:
    ((row,), _) = rows_of(merging(), "Q:", "a", [(1, -1)])
    assert row.bad == [1] and len(row.responses) == 1


def test_single_rows_are_cut_from_the_same_whole() -> None:
    tokenizer = merging(*MERGES)
    steps = [
        (characters, label) for (characters, _), label in zip(ENDS.values(), (1, -1, 1, -1), strict=True)
    ]
    ((together,), _) = rows_of(tokenizer, "Q:", MIXED, steps)
    singles, _ = rows_of(tokenizer, "Q:", MIXED, steps, arity=Single())
    assert [row.responses[0] for row in singles] == list(together.responses)
    assert [row.weight for row in singles] == pytest.approx([1, 1, 1, 1]) and together.weight == 4
    assert [row.good for row in singles] == [[1], [1], [0], [0]]


@pytest.mark.parametrize("goes_on", [False, True], ids=["answer", "continued"])
def test_ends_are_found_behind_a_chat_template(goes_on: bool) -> None:
    tokenizer = merging(*MERGES)
    prompt: tuple[Message, ...] = (Message("user", "é a b"),)
    if goes_on:
        prompt += (Message("assistant", "Well: "),)
    steps = [(characters, 1) for characters, _ in ENDS.values()]
    ((row,), _) = rows_of(tokenizer, prompt, (Message("assistant", MIXED),), steps)
    assert [len(response) for response in row.responses] == [size for _, size in ENDS.values()]
    assert tokenizer.decode(row.prompt).endswith("Well: " if goes_on else "<|assistant|>")


def test_a_template_that_trims_and_one_that_changes_what_is_said() -> None:
    tokenizer = merging(*MERGES)
    trims = "{{ bos_token }}{% for m in messages %}<{{ m.role }}>{{ m.content | trim }}{% endfor %}"
    tokenizer.chat_template = trims + "{% if add_generation_prompt %}<assistant>{% endif %}"
    turns = (Message("user", "Q"),), (Message("assistant", f"  {MIXED}\n"),)
    steps = [(characters + 2, 1) for characters, _ in ENDS.values()]
    ((row,), _) = rows_of(tokenizer, *turns, steps)
    assert [len(response) for response in row.responses] == [size for _, size in ENDS.values()]
    tokenizer.chat_template = trims.replace("trim", "upper")
    with pytest.raises(DataError, match="chat template changes what the response says"):
        rows_of(tokenizer, *turns, steps)


def test_a_tokenizer_without_characters_is_refused() -> None:
    class Slow:
        is_fast = False
        eos_token_id = 1
        bos_token_id = None

        def __call__(self, texts: list[str], **_: Any) -> dict[str, list[list[int]]]:
            return {"input_ids": [[7] for _ in texts]}

    with pytest.raises(DataError, match="need a fast tokenizer.*Slow does not"):
        rows_of(Slow(), "Q:", "ab", [(1, 1)])
