"""Each rule on texts of which the number is known, and what it refuses."""

from __future__ import annotations

from typing import Any

import pytest

from xpo.rule import pattern
from xpo.rule.answer import Answer
from xpo.rule.base import RuleError
from xpo.rule.format import Format
from xpo.rule.length import Length
from xpo.rule.pattern import Pattern
from xpo.testing.checks import failures

CASES: list[tuple[Any, str, str | None, float]] = [
    (Pattern("sorry"), "I am sorry.", None, 1),
    (Pattern("sorry"), "I am Sorry.", None, 0),
    (Pattern("sorry", ignore_case=True), "I am Sorry.", None, 1),
    (Pattern("sorry", score="absence"), "I am sorry.", None, 0),
    (Pattern("sorry", score="absence"), "Gladly.", None, 1),
    (Pattern(r"\bthe\b", score="count"), "the other, the one", None, 2),
    (Pattern("^- ", score="count"), "- a\n- b\nc - d", None, 2),
    (Pattern("é+"), "caféé", None, 1),
    (Length(), " one  two\nthree ", None, 3),
    (Length("characters"), " 日本語 ", None, 3),
    (Length(least=2, most=3), "a b", None, 1),
    (Length(least=2, most=3), "a b c", None, 1),
    (Length(least=2, most=3), "a", None, 0),
    (Length(least=2, most=3), "a b c d", None, 0),
    (Length("characters", most=2), "abc", None, 0),
    (Format(starts="Yes"), " Yes, it is.", None, 1),
    (Format(starts="Yes", ends="!"), " Yes, it is.", None, 0),
    (Format(starts="Yes", ends="."), " Yes, it is.\n", None, 1),
    (Format(json=True), ' {"a": [1, 2.5, null]}\n', None, 1),
    (Format(json=True), "{'a': 1}", None, 0),
    (Format(json=True), "NaN", None, 0),
    (Format(json=True), "[" * 100_000, None, 0),
    (Format(tags=("think", "answer")), "<think>a</think> <answer>b</answer>", None, 1),
    (Format(tags=("think", "answer")), "<answer>b</answer><think>a</think>", None, 0),
    (Format(tags=("think",)), "<think>a</think><think>b</think>", None, 0),
    (Format(tags=("think",)), "</think>a<think>", None, 0),
    (Answer(), "2 + 2 is 4", "4", 1),
    (Answer(), "It is 4 or 5", "4", 0),
    (Answer(), "It is 1,000.50 dollars.", "1000.5", 1),
    (Answer(), "so x=-3.", "-3", 1),
    (Answer(), "10-3", "3", 1),
    (Answer(), "no idea", "3", 0),
    (Answer(), "4", "The sum is 2 + 2 = 4.", 1),
    (Answer(), "1e99999999999", "3", 0),
    (Answer("####"), "2 and 3\n#### 5", "#### 5", 1),
    (Answer("####"), "#### 4\n#### 5.0\nthat was 7", "5", 1),
    (Answer("####"), "5", "5", 0),
    (Answer("The answer is"), "The answer is  Paris.", "paris", 1),
    (Answer("The answer is"), "The answer is Paris and 5", "5", 0),
    (Answer("The answer is"), "The answer is Rome", "Paris", 0),
]


@pytest.mark.parametrize(("rule", "response", "answer", "expected"), CASES, ids=lambda x: str(x)[:40])
def test_a_rule(rule: Any, response: str, answer: str | None, expected: float) -> None:
    assert rule("prompt 9", response, answer) == expected


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: Pattern("(x"), r"'\(x' is no regular expression"),
        (lambda: Pattern(""), "pattern is empty"),
        (lambda: Length(least=3, most=2), "0 <= least <= most, got 3 and 2"),
        (lambda: Length(least=-1), "0 <= least"),
        (lambda: Format(), "nothing is asked for"),
        (lambda: Format(tags=("<a>",)), "tags must be"),
        (lambda: Format(tags=("a", "a")), "tags must be different"),
        (lambda: Answer(" "), "marker is blank"),
    ],
)
def test_what_is_no_rule(make: Any, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        make()


@pytest.mark.parametrize(
    ("answer", "said"),
    [(None, "has no answer to compare with"), ("Paris", "'Paris' of this row has no number")],
)
def test_a_row_that_an_answer_cannot_be_compared_with(answer: str | None, said: str) -> None:
    with pytest.raises(RuleError, match=said):
        Answer()("p", "4", answer)


def test_a_pattern_that_never_ends_is_stopped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pattern, "SECONDS", 0.05)
    endless = Pattern("^(a|aa)+$")
    with pytest.raises(RuleError, match="takes more than 0.05 s for this response of 61 characters"):
        endless("p", "a" * 60 + "b", None)


class NotANumber:
    def __call__(self, prompt: str, response: str, answer: str | None) -> Any:
        return response == "x"


@pytest.mark.parametrize(
    "rule", [Pattern("a"), Length(), Length(most=3), Format(json=True), Answer("is")], ids=str
)
def test_the_kit_holds(rule: Any) -> None:
    assert failures(rule, "rule") == []


def test_the_kit_catches() -> None:
    said = failures(NotANumber(), "rule")
    assert any("is no finite number" in failure for failure in said)
    assert any("no frozen dataclass" in failure for failure in said)
