"""What of a record has a label of its own: steps, sentences, parts of sentences."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from xpo.data.errors import DataError
from xpo.data.record import Message, Record, Span, Step
from xpo.data.segments import Part, sentences, separated, subsentences, visible
from xpo.reward_level.response import ResponseLevel
from xpo.reward_level.span import SpanLevel
from xpo.reward_level.step import StepLevel

TEXT = (
    ' Mr. J. R. Smith lives in the U.S. today. He said "no." Then: yes, he did!  '
    "漢字です。次？ It is 3.5, e.g. so.\nEnd"
)


def cut(text: str, rule: Callable[[str], list[Part]]) -> list[str]:
    return [text[part.start : part.end] for part in rule(text)]


def test_sentences() -> None:
    assert cut(TEXT, sentences) == [
        "Mr. J. R. Smith lives in the U.S. today.",
        'He said "no."',
        "Then: yes, he did!",
        "漢字です。",
        "次？",
        "It is 3.5, e.g. so.",
        "End",
    ]
    assert cut("a\n\n b. ", sentences) == ["a", "b."] and cut(" \n", sentences) == []


def test_parts_of_sentences() -> None:
    assert cut(TEXT, subsentences)[2:5] == ["Then:", "yes,", "he did!"]
    assert cut("At 3:30, (or 1,000;) so、then", subsentences) == ["At 3:30,", "(or 1,000;)", "so、", "then"]


def test_steps_between_separators() -> None:
    assert cut("a\n\n b \n\n\n\nc.\nd", lambda text: separated(text, "\n\n")) == ["a", "b", "c.\nd"]
    assert visible("ab cd", [2, 3, 5]) == [Part(0, 2), Part(3, 5)]


SOLVED = Record(
    "Q", ("ab\ncd\nef",), labels=(False,), steps=((Step(2, 1), Step(5, 0), Step(8, -1)),), where="f:1"
)


def test_a_head_reads_all_steps_of_a_solution_at_once() -> None:
    (unit,) = StepLevel().units([SOLVED], nested=True)
    assert unit == Record(
        "Q", ("ab", "ab\ncd", "ab\ncd\nef"), labels=(1, 1, 0), whole="ab\ncd\nef", where="f:1"
    )


def test_log_ratios_are_of_one_step_behind_the_others() -> None:
    units = StepLevel(neutral="half").units([SOLVED], nested=False)
    assert [(unit.prompt, unit.responses, unit.labels) for unit in units] == [
        ("Q", ("ab",), (1,)),
        ("Qab", ("\ncd",), (0.5,)),
        ("Qab\ncd", ("\nef",), (0,)),
    ]
    assert all(unit.whole is None for unit in units)


def test_a_dropped_step_still_stands_before_the_next() -> None:
    turns = (Message("user", "Q"),), ((Message("assistant", "ab\ncd\nef"),),)
    record = Record(*turns, labels=(False,), steps=SOLVED.steps)
    first, last = StepLevel(neutral="drop").units([record], nested=False)
    assert first.prompt == (Message("user", "Q"),)
    assert last.prompt == (Message("user", "Q"), Message("assistant", "ab\ncd"))
    assert last.responses == ((Message("assistant", "\nef"),),)
    (unit,) = StepLevel(neutral="drop").units([record], nested=True)
    assert unit.responses == ((Message("assistant", "ab"),), (Message("assistant", "ab\ncd\nef"),))


def test_pairs_of_steps_and_whole_responses_stay() -> None:
    pair = Record("Q so far", ("this", "that"), ranks=(0, 1))
    assert StepLevel().units([pair], nested=True) == [pair]
    assert ResponseLevel().units([SOLVED], nested=True) == [SOLVED]


def test_steps_that_somebody_labelled_as_a_whole() -> None:
    StepLevel().check([SOLVED])
    told = Record("Q", SOLVED.responses, scores=(0.3,), steps=SOLVED.steps, where="f:1")
    with pytest.raises(DataError, match=r"f:1: the steps.*annotator=human.*reward_level=response"):
        StepLevel().check([told])


ANSWER = Record(
    "Q",
    (" It is red. It is big, and old.", " It is."),
    ranks=(1, 0),
    # of the first sentence the last two characters, of the second the comma and the blank behind it
    spans=((Span("Wrong", 9, 11), Span("Vague", 21, 23)), None),
    where="f:1",
)


@pytest.mark.parametrize(
    ("level", "labels"),
    [
        (SpanLevel(), (0, 0)),
        (SpanLevel(span_type="Wrong"), (0, 1)),
        (SpanLevel(span_type="Vague"), (1, 0)),
        (SpanLevel("subsentence", "Vague"), (1, 0, 1)),
    ],
)
def test_a_segment_is_bad_where_it_shares_a_character_with_an_error(
    level: SpanLevel, labels: tuple[float, ...]
) -> None:
    (unit,) = level.units([ANSWER], nested=True)
    assert unit.labels == labels and unit.whole == ANSWER.responses[0]
    assert unit.responses[0] == " It is red." and unit.responses[-1] == unit.whole


def test_a_span_that_only_touches_a_segment_is_none_of_its_errors() -> None:
    blank = Record("Q", (" It is red. It is big.",), spans=((Span("Wrong", 11, 12),),))
    (unit,) = SpanLevel().units([blank], nested=True)
    assert unit.labels == (1, 1)


def test_types_that_the_data_have_are_listed() -> None:
    SpanLevel(span_type="Vague").check([ANSWER])
    with pytest.raises(DataError, match=r"span_type=vague: .*Wrong \(1\), Vague \(1\)\. Did you mean"):
        SpanLevel(span_type="vague").check([ANSWER])
    with pytest.raises(DataError, match="f:1: reward_level=span needs rows with spans"):
        SpanLevel().check([SOLVED])


def test_messages_of_which_characters_cannot_be_counted() -> None:
    turns = (Message("assistant", "a"), Message("user", "b"), Message("assistant", "c"))
    record = Record((Message("user", "Q"),), (turns,), spans=((),), where="f:3")
    with pytest.raises(DataError, match="f:3: .*characters of one message, and this one has 3"):
        SpanLevel().units([record], nested=True)
