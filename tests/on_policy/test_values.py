"""What a sample is worth, by what the annotator says, the reward's form and the feedback."""

from __future__ import annotations

import dataclasses
from types import SimpleNamespace
from typing import Any

import pytest

from xpo.data.errors import DataError
from xpo.data.record import Record
from xpo.feedback.binary import Binary
from xpo.feedback.preference import Preference
from xpo.feedback.scalar import Scalar
from xpo.on_policy import values as file
from xpo.on_policy.values import values
from xpo.reward_form.pointwise import Pointwise
from xpo.reward_form.win_rate import WinRate

WINS = ((0.5, 0.1, 0.2), (0.9, 0.5, 0.8), (0.8, 0.2, 0.5))
SAID = Record("prompt", ("bad", "best", "middle"), scores=(1.0, 3.0, 2.0), wins=WINS, where="rows.jsonl:7")
TIED = dataclasses.replace(SAID, scores=(1.0, 1.0, 2.0))
LABELLED = dataclasses.replace(SAID, labels=(True, False, True))

CASES: list[tuple[Any, Any, Record, list[float]]] = [
    (Pointwise(), Scalar(), SAID, [1, 3, 2]),
    (Pointwise(), Binary(), SAID, [0, 1, 0.5]),  # above, below and at their mean
    (Pointwise(), Binary(threshold=1.5), SAID, [0, 1, 1]),
    (Pointwise(), Binary(), LABELLED, [1, 0, 1]),
    (Pointwise(), Preference(), SAID, [0, 1, 0.5]),  # shares of comparisons won
    (Pointwise(), Preference(), TIED, [0, 0, 1]),
    (Pointwise(), Preference(ties="half"), TIED, [0.25, 0.25, 1]),
    (Pointwise(), Preference(soft=True), SAID, [0.15, 0.85, 0.5]),
    (WinRate(), Scalar(), SAID, [0.15, 0.85, 0.5]),  # against the others
    (WinRate(), Scalar(), TIED, [0.15, 0.85, 0.5]),
    (WinRate(), Binary(), TIED, [0, 1, 0.5]),
    (WinRate(), Preference(), TIED, [0, 1, 0.5]),
    (Pointwise(), Preference(), dataclasses.replace(SAID, scores=(2.0, 2.0, 2.0)), [0.5, 0.5, 0.5]),
]


def worth(form: Any, feedback: Any, record: Record) -> list[float]:
    return values(record, SimpleNamespace(reward_form=form, feedback=feedback))


@pytest.mark.parametrize(("form", "feedback", "record", "expected"), CASES)
def test_by_hand(form: Any, feedback: Any, record: Record, expected: list[float]) -> None:
    assert worth(form, feedback, record) == pytest.approx(expected)


def test_equal_responses_are_worth_the_same() -> None:
    wins = ((0.5, 0.5, 0.9), (0.5, 0.5, 0.9), (0.1, 0.1, 0.5))
    twice = Record("prompt", ("a", "a", "b"), scores=(2.0, 2.0, 1.0), wins=wins)
    for feedback in (Scalar(), Binary(), Preference(), Preference(soft=True)):
        first, second, _ = worth(Pointwise(), feedback, twice)
        assert first == second


@pytest.mark.parametrize("lacking", ["scores", "wins"])
def test_a_record_that_says_nothing_is_told(lacking: str) -> None:
    form = Pointwise() if lacking == "scores" else WinRate()
    with pytest.raises(DataError, match="rows.jsonl:7: .*gave none"):
        worth(form, Scalar(), dataclasses.replace(SAID, **{lacking: None}))


def test_broken_readings_are_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    """Losses in the place of wins, and a mean that counts the comparison with oneself."""
    taken, formed = dict(file._TAKEN), file._formed
    broken = taken | {"comparisons": lambda *given: [1 - v for v in taken["comparisons"](*given)]}
    monkeypatch.setattr(file, "_TAKEN", broken)
    assert worth(Pointwise(), Preference(), SAID) != pytest.approx([0, 1, 0.5])
    monkeypatch.setattr(file, "_TAKEN", taken)
    of_all = tuple(sum(row) / 3 for row in WINS)
    monkeypatch.setattr(file, "_formed", lambda record, pairs: dataclasses.replace(record, scores=of_all))
    assert worth(WinRate(), Scalar(), SAID) != pytest.approx([0.15, 0.85, 0.5])
    monkeypatch.setattr(file, "_formed", formed)
