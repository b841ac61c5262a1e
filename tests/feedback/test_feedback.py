"""Which masses each kind of feedback leaves, by hand."""

from __future__ import annotations

import pytest

from xpo.contracts import FEEDBACK
from xpo.data.counts import Counts
from xpo.data.errors import DataError
from xpo.data.record import Example, Record
from xpo.feedback.binary import Binary
from xpo.feedback.demonstration import Demonstration
from xpo.feedback.preference import Preference
from xpo.feedback.scalar import Scalar
from xpo.registry import component, names

PAIR = Record("p", ("worse", "better"), ranks=(1, 0), where="f:1")
SCORED = Record("p", ("b", "d", "a", "c"), scores=(2.0, 0.0, 4.0, 0.0), where="f:2")
ALL_TIE = Record("p", ("a", "b"), scores=(1.0, 1.0), where="f:3")
GOOD = Record("p", ("a",), labels=(True,), where="f:4")
BAD = Record("p", ("b",), labels=(False,), where="f:5")
DEMO = Record("p", ("a",), where="f:6")


def one(feedback: object, record: Record, counts: Counts | None = None) -> Example:
    (example,) = feedback([record], counts or Counts())  # type: ignore[operator]
    return example


def test_every_feedback_declares_what_it_gives() -> None:
    assert set(names("feedback")) >= {"preference", "binary", "scalar", "demonstration"}
    for name in names("feedback"):
        gives = component("feedback", name).gives  # type: ignore[attr-defined]
        assert gives and gives <= FEEDBACK


def test_preference_of_a_pair() -> None:
    example = one(Preference(), PAIR)
    assert example.responses == ("better", "worse")
    assert example.prefer == ((0, 1), (0, 0))
    assert (example.good, example.bad, example.demo) == ((0.5, 0), (0, 0.5), (1, 0))
    assert example.scores is None and example.where == "f:1"


def test_preference_of_a_list_with_a_tie() -> None:
    example = one(Preference(), SCORED)
    assert example.responses == ("a", "b", "d", "c")  # ties stay in the data's order
    fifth = pytest.approx(0.2)
    assert [list(row) for row in example.prefer or ()] == [
        [0, fifth, fifth, fifth],
        [0, 0, fifth, fifth],
        [0, 0, 0, 0],
        [0, 0, 0, 0],
    ]
    assert example.good == pytest.approx((0.3, 0.2, 0, 0))
    assert example.bad == pytest.approx((0, 0.1, 0.2, 0.2))
    assert example.scores == (4, 2, 0, 0)


def test_ranks_order_and_scores_only_go_along() -> None:
    record = Record("p", ("a", "b"), ranks=(1, 0), scores=(9.0, 1.0), wins=((0.5, 0.3), (0.7, 0.5)))
    example = one(Preference(), record)
    assert example.responses == ("b", "a") and example.scores == (1, 9)
    assert example.wins == ((0.5, 0.7), (0.3, 0.5))
    assert one(Scalar(), record).responses == ("a", "b")


def test_a_tie_compares_to_nothing() -> None:
    assert one(Preference(), ALL_TIE).prefer == ((0, 0), (0, 0))


@pytest.mark.parametrize("record", [GOOD, DEMO])
def test_preference_needs_an_order(record: Record) -> None:
    with pytest.raises(DataError, match=f"{record.where}: feedback=preference needs comparisons"):
        one(Preference(), record)


def test_scalar() -> None:
    example = one(Scalar(), SCORED)
    assert example.responses == ("a", "b", "d", "c") and example.scores == (4, 2, 0, 0)
    assert example.good is None and example.demo == (1, 0, 0, 0)
    assert sum(map(sum, example.prefer or ())) == pytest.approx(1)
    with pytest.raises(DataError, match="f:1: feedback=scalar needs scores"):
        one(Scalar(), PAIR)


def test_binary_of_labels() -> None:
    example = one(Binary(), GOOD)
    assert (example.good, example.bad, example.demo, example.prefer) == ((1,), (0,), (1,), None)
    example = one(Binary(), BAD)
    assert (example.good, example.bad, example.demo) == ((0,), (1,), (0,))


def test_binary_of_a_pair() -> None:
    example = one(Binary(), PAIR)
    assert example.responses == ("better", "worse")
    assert (example.good, example.bad, example.demo) == ((0.5, 0), (0, 0.5), (1, 0))


def test_binary_of_a_list_is_cut_at_its_mean_or_the_threshold() -> None:
    example = one(Binary(), SCORED)  # mean 1.5
    assert example.responses == ("a", "b", "d", "c")
    assert (example.good, example.bad) == ((0.25, 0.25, 0, 0), (0, 0, 0.25, 0.25))
    assert example.demo == (0.5, 0.5, 0, 0) and example.scores == (4, 2, 0, 0)
    counts = Counts()
    example = one(Binary(threshold=2.0), SCORED, counts)
    assert example.good == pytest.approx((1 / 3, 0, 0, 0)) and example.bad == pytest.approx(
        (0, 0, 1 / 3, 1 / 3)
    )
    assert counts.noted == {"response neither good nor bad": 1}


def test_binary_drops_what_is_neither() -> None:
    counts = Counts()
    assert Binary()([ALL_TIE, PAIR], counts)[0].where == "f:1"
    assert counts.dropped == {"no response good or bad (all at their mean; set feedback.threshold)": 1}


def test_binary_refuses() -> None:
    with pytest.raises(DataError, match="f:6: feedback=binary needs labels, comparisons or scores"):
        one(Binary(), DEMO)
    with pytest.raises(DataError, match="f:1: feedback.threshold cuts scores, and this row has none"):
        one(Binary(threshold=0.5), PAIR)


@pytest.mark.parametrize(
    ("record", "best"), [(PAIR, "better"), (SCORED, "a"), (GOOD, "a"), (DEMO, "a"), (ALL_TIE, "a")]
)
def test_demonstration_is_the_best_response(record: Record, best: str) -> None:
    example = one(Demonstration(), record)
    assert (example.responses, example.demo, example.prefer) == ((best,), (1.0,), None)


def test_bad_responses_are_not_imitated() -> None:
    counts = Counts()
    assert Demonstration()([BAD], counts) == []
    assert counts.dropped == {"best response labelled bad": 1}


@pytest.mark.parametrize("threshold", [float("nan"), float("inf")])
def test_a_threshold_is_finite(threshold: float) -> None:
    with pytest.raises(ValueError, match="threshold must be a finite number or null"):
        Binary(threshold=threshold)
