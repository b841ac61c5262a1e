"""What is measured in rounds: every run at two steps, the arithmetic, and faults that a check catches."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from xpo.claims.mutants import MUTANTS
from xpo.claims.rounds.__main__ import RUNS, Series, broken, means, series, table
from xpo.compose import build, compose_config
from xpo.stages.job import execute

SHORT = ("data=gold", "seed=0", "logger=none", "eval.samples=0", "trainer.log_every=1000")
TWO = ("trainer.steps=2", "hp.sft.separate.steps=2", "trainer.batch_size=8")
TINY = ("data.prompts=2", "data.max_symbols=2", "model.hidden=32", "model.layers=1", "optimizer.lr=1e-2")
SIZES = {
    "raft": ("data.symbols=3", "trainer.steps=30", "data.records=32", "schedule.rounds=2"),
    "previous": ("data.symbols=3", "trainer.steps=200"),
    "spin_exact": ("data.symbols=3", "trainer.steps=200"),
    "sppo": ("trainer.steps=180", "schedule.rounds=6", "data.records=128", "hp.sft.separate.steps=100"),
}
"""Of runs that are quick enough to be right, and wrong."""


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


def run_of(name: str) -> dict[str, Any]:
    return next(run for run in RUNS if run["name"] == name)


def measured(
    run: Mapping[str, Any], more: tuple[str, ...], out: Path, cache: Path
) -> dict[str, list[Series]]:
    overrides = [*run["run"], *SHORT, *more, f"cache={cache}"]
    execute(build(compose_config(overrides)), out)
    return {name: [series(out, name)] for name in run["numbers"]}


@pytest.mark.parametrize("run", RUNS, ids=lambda run: run["name"])
def test_two_steps(run: Mapping[str, Any], cache: Path, tmp_path: Path) -> None:
    exact = "data.exact_rounds=true" in run["run"]
    more = (*TWO, "schedule.rounds=2", *(() if exact else ("data.records=16",)))
    if any(said.startswith("schedule.replay=") for said in run["run"]):
        more += ("schedule.replay=1",)
    for [found] in measured(run, more, tmp_path, cache).values():
        assert len(found) in (2, 3), "after each of two rounds, and before where that is known"
    assert run.get("mutant", "flip") in MUTANTS


@pytest.mark.parametrize("name", SIZES)
def test_a_fault_is_caught(name: str, cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run, more = run_of(name), (*TINY, *SIZES[name])
    right = measured(run, more, tmp_path / "right", cache)
    MUTANTS[run["mutant"]](monkeypatch.setattr)
    wrong = measured(run, more, tmp_path / "wrong", cache)
    assert broken(run, right) == []
    assert broken(run, wrong) != []


def test_rules_are_of_means_over_seeds() -> None:
    assert means([[1.0, 4.0], [3.0, 5.0]]) == [2.0, 4.5]
    up, down = {"must": {"m": "rises"}}, {"must": {"m": "falls"}}
    assert broken(up, {"m": [[0.0, 1.0, 2.0], [0.0, 3.0, 2.5]]}) == [], "0, 2, 2.25"
    assert broken(up, {"m": [[0.0, 1.0, 2.0], [0.0, 3.0, 1.0]]}) == ["m"], "0, 2, 1.5"
    assert broken(down, {"m": [[2.0, 1.0, 0.5]]}) == [] and broken(down, {"m": [[2.0, 2.0]]}) == ["m"]
    least, most = {"must": {"m": ["at_least", 0.5]}}, {"must": {"m": ["at_most", 0.5]}}
    assert broken(least, {"m": [[9.0, 0.4], [9.0, 0.6]]}) == [] == broken(most, {"m": [[9.0, 0.5]]})
    assert broken(least, {"m": [[9.0, 0.4]]}) == ["m"] == broken(most, {"m": [[0.0, 0.6]]})


def test_the_table_says_what_holds() -> None:
    run = {"name": "a", "says": "b", "numbers": ["m", "n"], "must": {"m": ["at_most", 0.5]}}
    text = table([run], {"a": {"m": [[1.0, 0.25], [1.0, 0.35]], "n": [[2.0], [3.0]]}})
    assert text.splitlines()[2:] == [
        "| `a`: b | `m` | 1.000 0.300 | at most 0.5 | 2 | yes |",
        "| `a`: b | `n` | 2.500 | shown | 2 |  |",
    ]
