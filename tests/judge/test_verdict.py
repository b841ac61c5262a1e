"""Which option an answer names and how probable each was: hand-made answers."""

from __future__ import annotations

import math

import pytest

from xpo.judge.errors import Again, JudgeError
from xpo.judge.reply import Reply, Token
from xpo.judge.verdict import check_options, shares, verdict

AB = ("A", "B")
DIGITS = tuple(str(n) for n in range(1, 11))


def token(text: str, **top: float) -> Token:
    return text, tuple((name, math.log(p)) for name, p in top.items())


def of(*tokens: Token) -> Reply:
    return Reply("".join(text for text, _ in tokens), tokens)


@pytest.mark.parametrize(
    ("text", "options", "named", "at"),
    [
        ("A", AB, "A", 0),
        (" b.\n", AB, "B", 1),
        ("(A)", AB, "A", 1),
        ("**B**", AB, "B", 2),
        ("[[B]]", AB, "B", 2),
        ("Answer: A", AB, "A", 8),
        ("The answer is (B).", AB, "B", 15),
        ("I thought of answer: A\nbut no.\nFinal verdict: B", AB, "B", 46),
        ("(A) is shorter, and that is good.", AB, "A", 1),
        ("Preferred response=A", AB, "A", 19),
        ("10", DIGITS, "10", 0),
        ("Score: 10", DIGITS, "10", 7),
        ("rating is 7.", DIGITS, "7", 10),
    ],
)
def test_an_option_is_named_alone_or_as_the_verdict(text: str, options: tuple[str, ...], named: str, at: int):
    assert verdict(text, options) == (named, at)


@pytest.mark.parametrize(
    ("text", "options"),
    [
        ("", AB),
        ("Both are good.", AB),
        ("A good question", AB),
        ("Answer: A or B", AB),
        ("Answer: A good response says more", AB),
        ("(A) is better than (B)", AB),
        ("C", AB),
        ("Score: -8", DIGITS),
        ("Score: 18", DIGITS),
        ("8.5", DIGITS),
        ("Score: 8/9", DIGITS),
        ("11", DIGITS),
    ],
)
def test_nothing_is_guessed(text: str, options: tuple[str, ...]):
    with pytest.raises(Again, match="names none of") as caught:
        verdict(text, options)
    assert caught.value.said == text


def test_tokens_that_are_an_option_but_for_spaces_capitals_and_brackets_count_for_it():
    reply = of(token("A", **{"A": 0.4, " A": 0.1, "a": 0.05, "(A": 0.05, "B": 0.15, " B": 0.05, "The": 0.2}))
    found, told = shares(reply, AB)
    assert found == pytest.approx((0.6 / 0.8, 0.2 / 0.8)) and told


def test_an_option_beyond_the_likeliest_tokens_has_no_probability():
    assert shares(of(token("B", B=0.9, C=0.1)), AB) == ((0.0, 1.0), True)


def test_without_log_probabilities_the_named_option_is_certain():
    assert shares(Reply("Answer: B"), AB) == ((0.0, 1.0), False)


def test_the_place_is_that_of_the_verdict_and_no_other():
    reply = of(
        token("A", A=0.9, B=0.1),  # "A longer one": no verdict
        token(" longer one is worse. Answer"),
        token(":", **{":": 1.0}),
        token(" B", **{" B": 0.7, " A": 0.3}),
    )
    assert shares(reply, AB)[0] == pytest.approx((0.3, 0.7))
    assert broken_first_place(reply) == pytest.approx((0.9, 0.1))  # what reading the first place would give


def broken_first_place(reply: Reply) -> tuple[float, ...]:
    assert reply.tokens is not None
    return shares(of(reply.tokens[0]), AB)[0]


def test_tokens_that_do_not_spell_the_text_say_nothing():
    reply = Reply("Answer: B", (token("<bytes>", B=0.5, A=0.5),))
    assert shares(reply, AB) == ((0.0, 1.0), False)


def test_ten_as_a_token_of_its_own():
    found, _ = shares(of(token("10", **{"10": 0.5, "1": 0.1, "9": 0.4})), DIGITS)
    assert found == pytest.approx((0.1, 0, 0, 0, 0, 0, 0, 0, 0.4, 0.5))


def test_ten_in_two_tokens_takes_its_part_of_the_one():
    first = token("1", **{"1": 0.6, "9": 0.4})
    said_ten = of(first, token("0", **{"0": 0.75, ".": 0.25}))
    said_one = of(first, token(".", **{"0": 0.25, ".": 0.75}))
    assert shares(said_ten, DIGITS)[0] == pytest.approx((0.15, 0, 0, 0, 0, 0, 0, 0, 0.4, 0.45))
    assert shares(said_one, DIGITS)[0] == pytest.approx((0.45, 0, 0, 0, 0, 0, 0, 0, 0.4, 0.15))


def test_one_and_ten_that_cannot_be_told_apart_are_refused_unless_they_hardly_count():
    with pytest.raises(JudgeError, match="do not tell 1 from 10.*0 to 9"):
        shares(of(token("9", **{"9": 0.9, "1": 0.1})), DIGITS)
    assert shares(of(token("9", **{"9": 0.999, "1": 0.001})), DIGITS)[0][8] == pytest.approx(0.999)


@pytest.mark.parametrize("options", [("A",), ("A", ""), ("A", "a"), ("yes", "yes."), ("A", "!")])
def test_options_that_no_text_tells_apart_are_refused(options: tuple[str, ...]):
    with pytest.raises(ValueError, match="two or more that differ"):
        check_options(options)
