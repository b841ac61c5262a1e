"""Spread and verdicts by hand numbers."""

from __future__ import annotations

import pytest

from xpo.claims.claim import Check, Claim
from xpo.claims.measure import Outcome, Variant
from xpo.claims.table import lines, markdown

CLAIM = Claim("a", "it works", ("algo=x",), (Check("m", "at_least", 0.5), Check("n")), mutant="flip")


def outcomes(*values: float, world: float) -> list[Outcome]:
    seeds = [Outcome(Variant(seed), {"m": value, "n": 7.0}) for seed, value in enumerate(values)]
    return [*seeds, Outcome(Variant(0, 1), {"m": world, "n": 8.0})]


def test_mean_and_interval() -> None:
    (line, shown) = lines([CLAIM], {"a": outcomes(1.0, 2.0, 3.0, world=4.0)})
    assert line.mean == 2.0 and line.worlds == (4.0,) and line.holds
    assert line.half_width == pytest.approx(4.303 * 1.0 / 3**0.5)  # t of 2 degrees, standard deviation 1
    assert shown.half_width == 0.0


def test_one_run_of_another_world_is_enough_to_fail() -> None:
    (line, _) = lines([CLAIM], {"a": outcomes(1.0, 2.0, 3.0, world=0.4)})
    assert not line.holds


def test_markdown() -> None:
    rows = markdown(lines([CLAIM], {"a": outcomes(1.0, 2.0, 3.0, world=0.4)})).splitlines()
    assert len(rows) == 4 and len({row.count("|") for row in rows}) == 1
    numbers = "2.0000 ± 2.4843 | 1.0000 to 3.0000 | 0.4000 to 0.4000"
    assert rows[2] == f"| it works | `algo=x` | `m` | at least 0.5 | {numbers} | **no** |"
    assert rows[3].startswith("|  |  | `n` | shown | 7.0000 ± 0.0000 |") and rows[3].endswith("|  |")
