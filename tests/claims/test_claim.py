"""Claims as data: what a check means, what the files say, what a bad file is told."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from xpo.claims.claim import Check, Claim, all_claims, load_claims
from xpo.claims.mutants import MUTANTS
from xpo.compose.compose import compose_config


@pytest.mark.parametrize(
    ("check", "value", "holds"),
    [
        (Check("m", "at_least", 0.98), 0.98, True),
        (Check("m", "at_least", 0.98), 0.979, False),
        (Check("m", "at_most", 0.02), 0.02, True),
        (Check("m", "at_most", 0.02), 0.021, False),
        (Check("m", "at_least", 0.98), math.nan, False),
        (Check("m", "at_most", 0.02), math.nan, False),
        (Check("m", "below", "n"), 0.4, True),
        (Check("m", "below", "n"), 0.6, False),
        (Check("m", "equals", 0.1), 0.75, True),
        (Check("m", "equals", 0.1), 0.85, False),
        (Check("m"), -1.0, True),
    ],
)
def test_rules(check: Check, value: float, holds: bool) -> None:
    assert check.holds({"m": value, "n": 0.5}, {"m": 0.7}) is holds


def test_a_missing_metric_is_an_error() -> None:
    with pytest.raises(KeyError):
        Check("m", "at_least", 1.0).holds({"other": 2.0})


@pytest.mark.parametrize("claim", all_claims(), ids=lambda claim: claim.name)
def test_every_command_composes_and_every_mutant_exists(claim: Claim) -> None:
    for run in (claim.run, claim.against):
        if run is not None:
            assert compose_config([*run, "data=gold", "seed=0", "data.seed=1"])
    assert claim.mutant is None or claim.mutant in MUTANTS
    assert claim.checks


def test_names_are_distinct() -> None:
    names = [claim.name for claim in all_claims()]
    assert len(set(names)) == len(names)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("- {name: a, says: b, run: [], checks: [{metric: m}], mutnat: flip}", "unknown key 'mutnat'"),
        (
            "- {name: a, says: b, run: [], checks: [{metric: m, over: 1}], mutant: flip}",
            "unknown rule 'over'",
        ),
        ("- {name: a, says: b, run: [], checks: [{metric: m, at_least: 1}]}", "name a mutant"),
        ("- {name: a, says: b, run: [], checks: [{metric: m}], mutant: flip}", "name a mutant"),
        ("- {name: a, says: b, run: [], checks: [{metric: m, equals: 1}], mutant: flip}", "'against' names"),
    ],
)
def test_a_bad_file_is_told(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "claims.yaml"
    path.write_text(text)
    with pytest.raises(ValueError, match=message):
        load_claims(path)
