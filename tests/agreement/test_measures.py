"""Agreement and bias by hand, on pairs made up for it."""

from __future__ import annotations

import dataclasses
import math
import random
from collections.abc import Sequence

import pytest

from xpo.agreement import measures
from xpo.agreement.measures import accuracy, calibration, consistency, first_share, kappa, longer_wins, wilson
from xpo.agreement.pairs import Pair, Single, bare, compare
from xpo.data.errors import DataError
from xpo.data.record import Message, Record


def pair(
    own: float, forward: float, backward: float | None = None, prompt: int = 0, longer: float = 0.5
) -> Pair:
    return Pair(prompt, own, forward, forward if backward is None else backward, longer)


def test_accuracy_with_half_ties() -> None:
    items = [pair(1, 1), pair(0, 1), pair(1, 0.5), pair(0, 0), pair(0.5, 1)]
    assert accuracy(items).value == pytest.approx((1 + 0 + 0.5 + 1) / 4)
    assert accuracy([pair(1, 1, 0)]).value == 0.5  # right in one of two orders
    assert accuracy([pair(0.5, 1)]).value is None
    assert accuracy([Single(0, 1, 1), Single(0, 1, 0), Single(1, 0, 0)]).value == pytest.approx(2 / 3)


def test_kappa_of_a_table() -> None:
    # 20 both good, 5 good and bad, 10 bad and good, 15 both bad: 0.7 agree, 0.5 by chance
    cells = [(1.0, 1.0, 20), (1.0, 0.0, 5), (0.0, 1.0, 10), (0.0, 0.0, 15)]
    singles = [Single(i, own, found) for own, found, count in cells for i in range(count)]
    assert kappa(singles).value == pytest.approx(0.4)


def test_kappa_with_ties_as_a_class() -> None:
    items = [pair(1, 1)] * 4 + [pair(0.5, 0.5)] * 2 + [pair(1, 0)] + [pair(0.5, 1)]
    # from both sides: label win, lose 5/16 each, tie 6/16; annotator 6/16 each, tie 4/16; 12/16 agree
    by_chance = (2 * 5 * 6 + 6 * 4) / 256
    assert kappa(items).value == pytest.approx((0.75 - by_chance) / (1 - by_chance))
    assert kappa([pair(1, 1), pair(0, 0)]).value == 1.0
    assert kappa([pair(0.5, 0.5)]).value is None  # one class alone


def test_kappa_does_not_depend_on_which_response_stands_first() -> None:
    items = [pair(1, 1), pair(1, 0.5), pair(0, 1), pair(0.5, 0), pair(1, 1, 0)]
    turned = [Pair(0, 1 - p.own, 1 - p.forward, 1 - p.backward, p.longer) for p in items]
    assert kappa(items).value == pytest.approx(kappa(turned).value)
    chosen_first = [pair(1, 1)] * 8 + [pair(1, 0)] * 2  # all labels say "first"
    assert kappa(chosen_first).value == pytest.approx(0.6)


def test_positions() -> None:
    always_first = [pair(1, 1, 0), pair(0, 1, 0)]
    assert first_share(always_first).value == 1 and measures.position_bias(always_first).value == 1
    assert consistency(always_first).value == 0
    assert accuracy(always_first).value == 0.5 and kappa(always_first).value == 0
    mixed = [pair(1, 1, 1), pair(1, 0, 0), pair(1, 1, 0), pair(1, 0.5, 0.5)]
    assert first_share(mixed).value == pytest.approx((0.5 + 0.5 + 1 + 0.5) / 4)
    assert measures.position_bias(mixed).value == pytest.approx(0.25)
    assert consistency(mixed).value == 0.75
    assert measures.position_bias([pair(1, 0, 1)]).value == -1  # the last one wins


def test_lengths() -> None:
    items = [
        pair(1, 1, longer=1), pair(0, 1, longer=1), pair(1, 0, longer=0), pair(0.5, 1, 0, longer=0),
        pair(1, 0, longer=0.5),
    ]  # fmt: skip
    found = longer_wins(items)
    assert found["annotator"].value == pytest.approx((1 + 1 + 1 + 0.5) / 4)
    assert found["label"].value == pytest.approx((1 + 0 + 0 + 0.5) / 4)
    assert found["difference"].value == pytest.approx(0.5)


def test_calibration_by_hand() -> None:
    def sure(own: float, *chance: float) -> Pair:
        return dataclasses.replace(pair(own, 1), chance=chance)

    found = calibration([sure(1, 0.9, 0.9), sure(1, 0.9, 0.9), sure(0, 0.9, 0.9), sure(0, 0.45, 0.35)])
    assert found is not None
    bins, error = found
    shown = {round(one.low, 1): (one.pairs, one.predicted, one.observed) for one in bins}
    assert shown[0.9] == (1.5, pytest.approx(0.9), pytest.approx(2 / 3))
    assert shown[0.4] == (0.25, pytest.approx(0.45), 0) and shown[0.3] == (0.25, pytest.approx(0.35), 0)
    assert shown[0.6] == (0.25, pytest.approx(0.65), 1)
    tens = 2 * 1.5 * (0.9 - 2 / 3) + 2 * 0.25 * 0.45 + 2 * 0.25 * 0.35
    assert error == pytest.approx(tens / 4)
    assert calibration([pair(1, 1)]) is None


def test_probabilities_that_hold_are_calibrated() -> None:
    draw = random.Random(0)
    pairs = []
    for i in range(4000):
        chance = draw.random()
        pairs.append(Pair(i, float(draw.random() < chance), 1, 1, 0.5, (chance, chance)))
    found, other = calibration(pairs), calibration([dataclasses.replace(p, own=1 - p.own) for p in pairs])
    assert found is not None and found[1] < 0.03
    assert other is not None and other[1] > 0.4


def test_wilson() -> None:
    assert wilson(0.5, 10) == pytest.approx((0.23659, 0.76341), abs=1e-5)
    assert wilson(1.0, 10) == pytest.approx((0.72247, 1.0), abs=1e-5)
    assert wilson(0.0, 1)[0] == pytest.approx(0, abs=1e-12)


def test_the_interval_is_over_prompts() -> None:
    draw = random.Random(1)
    wins = [draw.random() < 0.7 for _ in range(400)]
    apart = accuracy([pair(1, float(win), prompt=i) for i, win in enumerate(wins)])
    assert apart.low is not None and apart.high is not None and apart.value == pytest.approx(sum(wins) / 400)
    share = sum(wins) / 400
    assert apart.high - apart.low == pytest.approx(2 * 1.96 * math.sqrt(share * (1 - share) / 400), rel=0.1)
    tenfold = accuracy([pair(1, float(win), prompt=i) for i, win in enumerate(wins) for _ in range(10)])
    assert (tenfold.low, tenfold.high) == (apart.low, apart.high)  # repetitions say nothing new


RECORDS = [
    Record("p", ("aaa", "b", "cc"), scores=(3.0, 1.0, 1.0), answer="7", models=("x", "y", "z"), where="f:1"),
    Record("q", ("a", "bb"), ranks=(1, 0), where="f:2"),
    Record("q", ("a", "bb"), where="f:3"),
]


def first_wins(records: list[Record]) -> list[Record]:
    """Judges by place alone."""
    return [dataclasses.replace(r, scores=tuple(-float(k) for k in range(len(r.responses)))) for r in records]


def by_text(records: list[Record]) -> list[Record]:
    """Judges by content alone: the longer the better."""
    return [dataclasses.replace(r, scores=tuple(float(len(t)) for t in r.responses)) for r in records]


def test_an_annotator_is_asked_in_both_orders_and_sees_no_labels() -> None:
    seen: list[Record] = []

    def ask(records: list[Record]) -> list[Record]:
        seen.extend(records)
        return by_text(records)

    found = compare(RECORDS, ask)
    assert [record.responses for record in seen] == [
        ("aaa", "b", "cc"), ("a", "bb"), ("cc", "b", "aaa"), ("bb", "a"),
    ]  # fmt: skip
    assert not any(record.labelled for record in seen)
    assert [r.models for r in (seen[0], seen[2])] == [("x", "y", "z"), ("z", "y", "x")] and seen[
        2
    ].answer == "7"
    assert found.left_out == {"rows without a label": 1}
    assert found.pairs == [
        Pair(0, 1, 1, 1, 1), Pair(0, 1, 1, 1, 1), Pair(0, 0.5, 0, 0, 0), Pair(1, 0, 0, 0, 0),
    ]  # fmt: skip
    assert accuracy(found.pairs).value == 1 and consistency(found.pairs).value == 1


def test_one_that_judges_by_place_is_found_out() -> None:
    found = compare(RECORDS, first_wins).pairs
    assert [(p.forward, p.backward) for p in found] == [(1, 0)] * 4
    assert measures.position_bias(found).value == 1 and accuracy(found).value == 0.5


def unturned(records: Sequence[Record]) -> list[Pair]:
    """Deliberately broken: the second answer is read as if nothing had been turned."""
    found = by_text([bare(r) for r in records if r.labelled])
    return compare(found, lambda asked: by_text([bare(r) for r in found])).pairs


def test_a_forgotten_turn_would_show() -> None:
    assert consistency(unturned(RECORDS)).value != 1


def test_win_probabilities_are_those_of_the_same_response() -> None:
    def ask(records: list[Record]) -> list[Record]:
        ahead = ((0.5, 0.8), (0.2, 0.5))  # the first wins with 0.8, whatever it is
        return [dataclasses.replace(record, wins=ahead) for record in records]

    (found,) = compare(RECORDS[1:2], ask).pairs
    assert found.chance == (0.8, pytest.approx(0.2)) and (found.forward, found.backward) == (1, 0)


def test_single_responses() -> None:
    rows = [
        Record("p", ("a",), labels=(True,), where="f:1"),
        Record("q", ("b",), labels=(False,), where="f:2"),
    ]
    found = compare(rows, lambda rs: [dataclasses.replace(r, labels=(True,)) for r in rs])
    assert found.singles == [Single(0, 1, 1), Single(1, 0, 1)] and not found.pairs


def test_nothing_to_compare() -> None:
    with pytest.raises(DataError, match="none of 1 rows has a label to compare with"):
        compare(RECORDS[2:], by_text)
    with pytest.raises(DataError, match="f:2: the annotator says nothing"):
        compare(RECORDS[1:2], lambda records: records)


def test_messages_have_a_length() -> None:
    turns = (Message("assistant", "abc"), Message("assistant", "d"))
    row = Record((Message("user", "q"),), (turns, (Message("assistant", "abcde"),)), ranks=(0, 1))
    (found,) = compare([row], lambda rs: [dataclasses.replace(r, scores=(1.0, 1.0)) for r in rs]).pairs
    assert found == Pair(0, 1, 0.5, 0.5, 0)
