"""How lists, pairs and single responses become one another."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest

from xpo.arity.list import List
from xpo.arity.pair import Pair
from xpo.arity.single import Single
from xpo.contracts import FEEDBACK
from xpo.data.counts import Counts
from xpo.data.record import Example, Record
from xpo.feedback.binary import Binary
from xpo.feedback.demonstration import Demonstration
from xpo.feedback.preference import Preference
from xpo.feedback.scalar import Scalar
from xpo.registry import component, names

FOUR = Record("p", ("d", "b", "c", "a"), scores=(1.0, 3.0, 1.0, 4.0))  # order: a > b > d = c


def shaped(arity: object, feedback: object, record: Record) -> tuple[list[Example], Counts]:
    counts = Counts()
    return arity(feedback([record], counts), counts), counts  # type: ignore[operator]


def test_every_arity_declares_itself() -> None:
    assert set(names("arity")) >= {"pair", "list", "single"}
    for name in names("arity"):
        cls = component("arity", name)
        low, high = cls.sizes  # type: ignore[attr-defined]
        assert 1 <= low and (high is None or low <= high)
        assert cls.needs_any and cls.needs_any <= cls.keeps <= FEEDBACK  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("from_list", "pairs", "ties"),
    [
        ("all", ["ab", "ad", "ac", "bd", "bc"], 1),
        ("best_worst", ["ac"], 0),
        ("adjacent", ["ab", "bd"], 1),
    ],
)
def test_list_to_pairs(from_list: str, pairs: list[str], ties: int) -> None:
    rows, counts = shaped(Pair(from_list), Preference(), FOUR)  # type: ignore[arg-type]
    assert ["".join(map(str, row.responses)) for row in rows] == pairs
    assert counts.dropped.get("tie", 0) == ties
    for row in rows:
        assert row.prefer == ((0, 1), (0, 0)) and row.demo == (1, 0)
        assert (sum(row.good or ()) + sum(row.bad or ())) == pytest.approx(1)
        assert row.scores is not None and row.scores[0] > row.scores[1]


def test_random_pair_is_one_that_does_not_tie_and_repeats() -> None:
    records = [FOUR] * 50
    items = Preference()(records, Counts())
    drawn = [row.responses for row in Pair("random", seed=1)(items, Counts())]
    assert len(drawn) == 50 and set(drawn) == {("a", "b"), ("a", "d"), ("a", "c"), ("b", "d"), ("b", "c")}
    assert drawn == [row.responses for row in Pair("random", seed=1)(items, Counts())]
    assert drawn != [row.responses for row in Pair("random", seed=2)(items, Counts())]


@pytest.mark.parametrize("from_list", ["random", "best_random"])
def test_each_rollout_draws_its_own_pairs(from_list: Any) -> None:
    """One prompt whose samples are new in each of 100 rollouts: no pair of ranks is drawn in most of them."""
    seen: Counter[tuple[str, ...]] = Counter()
    for rollout in range(100):
        record = Record("p", tuple(f"{rank} of {rollout}" for rank in range(4)), scores=(4.0, 3.0, 2.0, 1.0))
        (row,) = Pair(from_list)(Preference()([record], Counts()), Counts())
        seen[tuple(str(response)[0] for response in row.responses)] += 1
    possible = 6 if from_list == "random" else 3
    assert len(seen) == possible and max(seen.values()) < 2 * 100 / possible


TIE = Record("p", ("a", "b"), scores=(1.0, 1.0))
ONE = Record("p", ("a",), scores=(1.0,))


@pytest.mark.parametrize("from_list", ["all", "best_worst", "adjacent", "random"])
def test_ties_and_lone_responses_are_no_pairs(from_list: str) -> None:
    rows, counts = shaped(Pair(from_list), Preference(), TIE)  # type: ignore[arg-type]
    assert rows == [] and counts.dropped == {"tie": 1}
    rows, counts = shaped(Pair(from_list), Preference(), ONE)  # type: ignore[arg-type]
    assert rows == [] and counts.dropped == {"fewer than two responses": 1}


def test_pairs_of_binary_feedback_are_good_and_bad() -> None:
    rows, counts = shaped(Pair(), Binary(threshold=3.0), FOUR)  # a good, b neither, d and c bad
    assert [row.responses for row in rows] == [("a", "d"), ("a", "c")]
    assert all((row.good, row.bad, row.demo) == ((0.5, 0), (0, 0.5), (1, 0)) for row in rows)
    assert counts.dropped == {"tie": 4}


def test_soft_pairs_keep_their_shares() -> None:
    item = Example("p", ("a", "b"), prefer=((0, 0.3), (0.7, 0)), demo=(1.0, 0.0))
    (row,) = Pair()([item], Counts())
    assert row.responses == ("b", "a") and row.prefer == ((0, 0.7), (0.3, 0))
    (row,) = Pair()([Example("p", ("a", "b"), prefer=((0, 0.5), (0.5, 0)))], Counts())
    assert row.prefer == ((0, 0.5), (0.5, 0))  # undecided, yet compared


def test_list() -> None:
    rows, counts = shaped(List(), Preference(), FOUR)
    assert [row.responses for row in rows] == [("a", "b", "d", "c")] and not counts.dropped
    assert shaped(List(), Preference(), TIE)[1].dropped == {"tie": 1}
    assert shaped(List(), Preference(), ONE)[1].dropped == {"fewer than two responses": 1}


def test_single_of_binary_feedback() -> None:
    rows, counts = shaped(Single(), Binary(threshold=3.0), FOUR)
    verdicts = {str(row.responses[0]): (row.good, row.bad, row.demo) for row in rows}
    assert verdicts == {"a": ((1,), (0,), (1,)), "d": ((0,), (1,), (0,)), "c": ((0,), (1,), (0,))}
    assert counts.dropped == {"response without a label": 1}
    assert all(row.prefer is None and row.weight == 1 for row in rows)


def test_single_of_preferences_splits_the_masses() -> None:
    rows, _ = shaped(Single(), Preference(), FOUR)
    # b is above two and below one: two thirds good
    (b,) = [row for row in rows if row.responses == ("b",)]
    assert b.good == pytest.approx((2 / 3,)) and b.bad == pytest.approx((1 / 3,))
    assert [row.demo for row in rows] == [(1,), (0,), (0,), (0,)]


def test_single_of_scores_and_of_demonstrations() -> None:
    rows, _ = shaped(Single(), Scalar(), FOUR)
    assert [row.scores for row in rows] == [(4.0,), (3.0,), (1.0,), (1.0,)]
    rows, _ = shaped(Single(), Demonstration(), FOUR)
    assert [(row.responses, row.demo) for row in rows] == [(("a",), (1.0,))]
