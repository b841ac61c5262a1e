"""What a reward model learns of a run's comparisons: a half, or more of them."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import pytest

from xpo.contracts import Row
from xpo.errors import UserError
from xpo.stages import comparisons as file
from xpo.stages.comparisons import Comparisons
from xpo.stages.source import Rows


def pair(n: int, *responses: int) -> Row:
    return Row([1, n], [[response, 2] for response in responses], prefer=[[0.0, 1.0], [0.0, 0.0]])


ROWS = Rows([pair(n // 2, 5 + n % 2, 7) for n in range(40)], [pair(99, 5, 6)])


def test_halves_share_nothing_and_leave_nothing() -> None:
    one, other = (Comparisons(half)(ROWS).train for half in (0, 1))
    assert len(one) > 8 and len(other) > 8
    assert [row for row in ROWS.train if row in one and row in other] == []
    assert [row for row in ROWS.train if row not in one and row not in other] == []
    assert Comparisons(1)(ROWS).test == ROWS.test


def test_a_comparison_is_in_one_half_whoever_wins() -> None:
    turned = [
        Row(row.prompt, list(reversed(row.responses)), prefer=row.prefer, weight=2.0) for row in ROWS.train
    ]
    assert told(Comparisons(0)(Rows(turned)).train) == told(Comparisons(0)(ROWS).train)


def told(rows: Sequence[Row]) -> set[str]:
    """Which prompts and responses, in any order."""
    return {f"{row.prompt} {sorted(map(list, row.responses))}" for row in rows}


def test_a_hash_of_what_stands_first_would_split_a_comparison(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(file, "_side", lambda row: (row.prompt[1] + row.responses[0][0]) & 1)
    with pytest.raises(AssertionError):
        test_a_comparison_is_in_one_half_whoever_wins()


def test_more_stand_beside_them() -> None:
    more = [pair(50, 8, 9)]
    assert Comparisons(more=more)(ROWS).train == [*ROWS.train, *more]
    assert Comparisons(0, more)(ROWS).train == [*Comparisons(0)(ROWS).train, *more]
    told = [Comparisons(0, more).told, Comparisons().told, Comparisons(1).told, Comparisons(more=more).told]
    assert told == ["half 0 and 1 more", "all", "half 1", "all and 1 more"]


def test_what_cannot_be_halved() -> None:
    with pytest.raises(UserError, match="a population has one row for each prompt"):
        Comparisons(0)(dataclasses.replace(ROWS, population=True))
    alone = Rows([ROWS.train[0]])
    sizes = []
    for half in (0, 1):
        try:
            sizes.append(len(Comparisons(half)(alone).train))
        except UserError as error:
            assert "of 1 none is left for one side" in str(error)
    assert sizes == [1]
    assert Comparisons()(dataclasses.replace(ROWS, population=True)).train == ROWS.train
