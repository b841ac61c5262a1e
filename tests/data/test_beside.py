"""A response of the data beside samples: which one, and what is told of rows that do not say."""

from __future__ import annotations

from typing import Any

import pytest

from xpo.data import beside
from xpo.data.counts import Counts
from xpo.data.errors import DataError
from xpo.data.prompts import prompts_of
from xpo.data.record import Record
from xpo.sampling.on_policy import OnPolicy

THREE = (" It is two.", " Four.", " What is two?")


def given(tokenizer: Any, which: Any, texts: tuple[str, ...], **said: Any) -> tuple[str, dict[str, int]]:
    """The one that stands beside samples, and what is noted."""
    counts, option = Counts(), OnPolicy(given=which)
    record = Record("What is two?", texts, where="rows.jsonl:1", **said)
    (prompt,) = prompts_of([record], tokenizer, option, 64, counts)
    return tokenizer.decode(prompt.given[0], skip_special_tokens=True), dict(counts.noted)


@pytest.mark.parametrize(("which", "text"), [("best", THREE[2]), ("worst", THREE[1])])
def test_the_best_and_the_worst(tokenizer: Any, which: str, text: str) -> None:
    assert given(tokenizer, which, THREE, scores=(0.5, -1.0, 2.0)) == (text, {})
    assert given(tokenizer, which, THREE, ranks=(2, 3, 1)) == (text, {})


@pytest.mark.parametrize("which", ["best", "worst"])
def test_one_of_equal_ones_is_told(tokenizer: Any, which: str) -> None:
    told = {f"one of several equal responses taken as the {which}": 1}
    assert given(tokenizer, which, THREE, scores=(1.0, 1.0, 1.0)) == (THREE[0], told)
    other = 3.0 if which == "best" else -3.0
    assert given(tokenizer, which, THREE, scores=(1.0, 1.0, other)) == (THREE[2], {}), "ties elsewhere"
    assert given(tokenizer, which, (THREE[0],) * 2, scores=(1.0, 1.0)) == (THREE[0], {}), "copies are one"


def test_ties_of_the_other_side_are_another_thing(tokenizer: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """The broken variant: the best and the worst taken for each other."""
    place = beside._place
    turned = {"best": "worst", "worst": "best"}
    monkeypatch.setattr(beside, "_place", lambda record, which: place(record, turned[which]))
    assert given(tokenizer, "best", THREE, scores=(0.5, -1.0, 2.0))[0] != THREE[2]
    assert given(tokenizer, "best", THREE, scores=(1.0, 1.0, 3.0))[1]


def test_a_row_without_any_is_told_what_to_add(tokenizer: Any) -> None:
    with pytest.raises(DataError, match=r"rows.jsonl:1: .*add a column 'completion' .*feedback=preference"):
        given(tokenizer, "best", ())
    with pytest.raises(DataError, match="nobody says which is better"):
        given(tokenizer, "worst", THREE)
