"""Comparisons as probabilities, and ties as half a comparison for each side: by hand, and what is refused."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass

import pytest

from xpo.arity.pair import Pair
from xpo.compose import Refused, build, compose_config
from xpo.data.counts import Counts
from xpo.data.errors import DataError
from xpo.data.record import Example, Record
from xpo.data.shape import Matrix
from xpo.feedback.preference import Preference
from xpo.testing.checks import failures

WINS = ((0.5, 0.2, 0.9), (0.8, 0.5, 0.6), (0.1, 0.4, 0.5))
LIST = Record("p", ("b", "a", "c"), scores=(2.0, 3.0, 1.0), wins=WINS, where="f:1")
TIED = Record("p", ("b", "a", "c"), scores=(1.0, 3.0, 1.0), where="f:2")


def one(feedback: Preference, record: Record) -> Example:
    (example,) = feedback([record], Counts())
    return example


def test_soft_masses_of_a_list() -> None:
    example = one(Preference(soft=True), LIST)
    assert example.responses == ("a", "b", "c") and example.demo == (1, 0, 0)
    third = [
        [0, 0.8 / 3, 0.2],
        [0.2 / 3, 0, 0.3],
        [0.4 / 3, 0.1 / 3, 0],
    ]  # 3 pairs, a over c 0.6, b over c 0.9
    assert [list(row) for row in example.prefer or ()] == [pytest.approx(row) for row in third]
    assert example.good == pytest.approx((1.4 / 6, 1.1 / 6, 0.5 / 6))
    assert example.bad == pytest.approx((0.6 / 6, 0.9 / 6, 1.5 / 6))


def test_a_soft_pair_keeps_both_sides_of_its_list() -> None:
    pairs = Pair()([one(Preference(soft=True), LIST)], Counts())
    assert [pair.responses for pair in pairs] == [("a", "b"), ("a", "c"), ("b", "c")]
    assert [list(row) for row in pairs[2].prefer or ()] == [[0, pytest.approx(0.9)], [pytest.approx(0.1), 0]]


def test_soft_needs_wins() -> None:
    with pytest.raises(DataError, match="f:2: feedback.soft=true reads win probabilities.*soft=false"):
        one(Preference(soft=True), TIED)


def test_a_tie_is_half_for_each_side() -> None:
    example = one(Preference(ties="half"), TIED)
    sixth, third = pytest.approx(1 / 6), pytest.approx(1 / 3)
    assert [list(row) for row in example.prefer or ()] == [[0, third, third], [0, 0, sixth], [0, sixth, 0]]
    assert Pair()([example], counts := Counts())[2].prefer == ((0, 0.5), (0.5, 0)) and not counts.dropped


def test_dropping_ties_is_as_it_was() -> None:
    example = one(Preference(), TIED)
    assert [list(row) for row in example.prefer or ()] == [[0, 0.5, 0.5], [0, 0, 0], [0, 0, 0]]


@dataclass(frozen=True)
class Transposed(Preference):
    """Deliberately broken: the loser's share."""

    def __call__(self, records: Sequence[Record], counts: Counts) -> list[Example]:
        def turned(prefer: Matrix | None) -> Matrix:
            return tuple(zip(*(prefer or ()), strict=True))

        return [dataclasses.replace(e, prefer=turned(e.prefer)) for e in super().__call__(records, counts)]


@pytest.mark.parametrize("values", [{"soft": True}, {"ties": "half"}], ids=str)
def test_the_kit_holds_and_catches(values: dict[str, object]) -> None:
    assert failures(Preference(**values), "feedback") == []  # type: ignore[arg-type]
    assert failures(Transposed(**values), "feedback")  # type: ignore[arg-type]


def test_halved_ties_are_not_read_with_soft() -> None:
    with pytest.raises(ValueError, match="ties=half is not read with soft=true"):
        Preference(soft=True, ties="half")


FILES = ["data=jsonl", "data.path=x"]
SOFT, HALF = "feedback.soft=true", "feedback.ties=half"


@pytest.mark.parametrize(
    "arguments",
    [
        ["algo=dpo", "data.mode=sampled", SOFT],
        ["algo=exo", *FILES, "label_noise=none", SOFT],
        ["algo=dpo", *FILES, HALF],
        ["algo=dpo", *FILES, HALF, "reward=explicit"],
        ["algo=kto", *FILES, "feedback=preference", SOFT],
    ],
    ids=" ".join,
)
def test_what_has_a_meaning_is_accepted(arguments: list[str]) -> None:
    build(compose_config(arguments))


@pytest.mark.parametrize(
    ("arguments", "said", "fix"),
    [
        (["algo=dpo", SOFT], "exact probability of every label", "data.mode=sampled"),
        (["algo=lipo", SOFT], "exact probability of every label", "data.mode=sampled"),
        (["algo=dpo", HALF], "says no ties", "feedback.ties=drop"),
        (["algo=dpo", *FILES, SOFT, "reward=explicit"], "from a scorer", "feedback.soft=false"),
        (["algo=pl_dpo", *FILES, SOFT], "not how surely", "feedback.soft=false"),
        (["algo=pl_dpo", *FILES, HALF], "not how surely", "feedback.ties=drop"),
        (["algo=infonca", *FILES, "feedback=preference", SOFT], "reads scores", "feedback.soft=false"),
    ],
    ids=lambda x: " ".join(x) if isinstance(x, list) else "",
)
def test_what_has_no_effect_is_refused(arguments: list[str], said: str, fix: str) -> None:
    with pytest.raises(Refused, match=said) as caught:
        build(compose_config(arguments))
    assert fix in str(caught.value)
