"""The script runs, its arithmetic is that of hand-made curves, a choice of the wrong end holds no claim."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from pathlib import Path

import pytest
import torch
from torch import Tensor

from xpo.claims.active.__main__ import CASES, DOCS, main
from xpo.claims.active.curve import ratio, reached
from xpo.claims.active.page import drawn, holds, of_world, section, together
from xpo.query import information
from xpo.query.base import Budgeted, Told
from xpo.query.information import Information
from xpo.query.random import Random

LABELS = [10, 20, 30]


def test_a_level_is_reached_between_rounds() -> None:
    lacks = [0.5, 0.3, 0.1]
    assert reached(LABELS, lacks, 0.2) == pytest.approx(25)
    assert reached(LABELS, lacks, 0.3) == 20 and reached(LABELS, lacks, 0.1) == 30
    assert reached(LABELS, lacks, 0.7) == 10  # no fewer labels were tried
    assert reached(LABELS, lacks, 0.05) == math.inf
    assert reached(LABELS, [0.5, 0.1, 0.4], 0.3) == pytest.approx(15)  # the first time


def test_the_ratio_is_that_of_mean_curves() -> None:
    drawn_runs = [[0.6, 0.5, 0.2], [0.4, 0.3, 0.2]]  # the mean: 0.5 0.4 0.2
    chosen = [[0.5, 0.2, 0.1], [0.3, 0.2, 0.1]]  # 0.4 0.2 0.1
    found = ratio(LABELS, drawn_runs, chosen, 3)
    assert (found.level, found.drawn, found.chosen) == (pytest.approx(0.2), 30, 20)
    assert found.value == pytest.approx(2 / 3)
    half = ratio(LABELS, drawn_runs, chosen, 2)  # 0.4, where the choice is after its first round
    assert (half.drawn, half.chosen, half.value) == (20, 10, 0.5)


def test_the_interval_is_that_of_seeds() -> None:
    """Two seeds: both alone are drawn in a quarter of all resamples each."""
    drawn_runs = [[0.6, 0.4, 0.2]] * 2
    found = ratio(LABELS, drawn_runs, [[0.2, 0.2, 0.2], [0.6, 0.2, 0.2]], 3)
    assert (found.low, found.high) == (pytest.approx(10 / 30), pytest.approx(20 / 30))
    never = ratio(LABELS, drawn_runs, [[0.5, 0.4, 0.1], [0.5, 0.5, 0.5]], 3)
    assert never.low < 1 and never.high == math.inf
    with pytest.raises(ValueError, match="2 runs with drawn labels and 1 with chosen"):
        ratio(LABELS, drawn_runs, drawn_runs[:1], 3)


def test_worlds_together_are_the_mean_of_each_seed() -> None:
    found = {
        "0": {"random": {"error": [[1.0, 0.5], [3.0, 0.1]]}},
        "1": {"random": {"error": [[2.0, 0.3], [5.0, 0.3]]}},
    }
    expected = [[pytest.approx(1.5), pytest.approx(0.4)], [pytest.approx(4.0), pytest.approx(0.2)]]
    assert together(found) == {"random": {"error": expected}}


def test_what_is_claimed_is_measured() -> None:
    for case in CASES:
        assert "random" in case["queries"]
        if case["claims"] is not None:
            assert case["claims"]["metric"] in case["metrics"] and case["claims"]["query"] in case["queries"]


def test_the_page_has_what_was_measured() -> None:
    found = json.loads((DOCS / "active.json").read_text())
    assert set(found) == {case["name"] for case in CASES}
    assert section(CASES, found) in (DOCS / "active.md").read_text()
    assert drawn(CASES, found) == (DOCS / "active.svg").read_text()
    assert all(holds(case, found[case["name"]]) for case in CASES)


def test_it_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """Two rounds of two steps through the real script."""
    case = next(case for case in CASES if case["name"] == "reward_bt")
    few = {name: case["queries"][name] for name in ("random", "information")}
    small = ["data.records=64", "data.symbols=3", "data.max_symbols=2"]
    tiny = {**case, "run": [*case["run"], *small], "budget": 4, "rounds": 2, "queries": few}
    monkeypatch.setattr("xpo.claims.active.__main__.CASES", (tiny,))
    before = (DOCS / "active.json").read_text()
    given = ["reward_bt", "--seeds", "1", "--worlds", "1", "--steps", "2", "--out", str(tmp_path)]
    assert main(given) == 1  # two worlds are asked for
    told = capsys.readouterr().out
    assert "| `gold/pair_accuracy_gap` | 1 | information | " in told and "after 4, 8, ... 8 labels" in told
    assert (DOCS / "active.json").read_text() == before


BUDGET, ROUNDS, SEEDS, WIDTH, POOL = 8, 6, 6, 6, 200
CLAIM = {
    "budget": BUDGET,
    "rounds": ROUNDS,
    "metrics": {"error": "less"},
    "claims": {"query": "information", "metric": "error"},
}


def least_telling(self: information._Gains, taken: Sequence[int]) -> int:
    """What adds least instead of most; candidates are pairs."""
    gain_P = torch.log1p(self._weight_P * self._variance_P.clamp(min=0))
    gain_P[list(taken)] = math.inf
    return int(gain_P.argmin())


def errors(query: Budgeted, world: int, seed: int) -> list[float]:
    """Labels of a linear reward, whose weights are fitted after each round: their squared error."""
    weight_D = torch.randn(WIDTH, generator=torch.Generator().manual_seed(world)).double()
    weight_D = 2.5 * weight_D / weight_D.norm()
    draw = torch.Generator().manual_seed(1000 * world + seed)
    size_N = torch.where(torch.rand(POOL, generator=draw) < 0.2, 3.0, 0.5).double()  # few pairs tell much
    feature_ND = size_N[:, None] * torch.randn(POOL, WIDTH, generator=draw).double()
    won_N = (torch.rand(POOL, generator=draw) < torch.sigmoid(feature_ND @ weight_D)).double()
    fit_D, taken, found = torch.zeros(WIDTH).double(), [], []
    for number in range(ROUNDS):
        left = [n for n in range(POOL) if n not in taken]
        if number == 0 or not query.reads_odds:
            places = query.drawn(len(left), draw)
        else:
            told = [_told(feature_ND[n], fit_D) for n in [*left, *taken]]
            places = query.choose(told[: len(left)], told[len(left) :], draw)
        taken += [left[place] for place in places]
        fit_D = _fitted(feature_ND[taken], won_N[taken])
        found.append(float((fit_D - weight_D).square().mean()))
    return found


def _told(feature_D: Tensor, fit_D: Tensor) -> Told:
    gap = feature_D @ fit_D
    zero = torch.zeros(())
    return Told(
        torch.stack([torch.stack([zero, gap]), torch.stack([-gap, zero])])[None],
        torch.stack([feature_D, 0 * feature_D]),
    )


def _fitted(feature_ND: Tensor, won_N: Tensor) -> Tensor:
    """Logistic regression with a unit prior, by Newton steps."""
    fit_D = torch.zeros(WIDTH).double()
    for _ in range(20):
        p_N = torch.sigmoid(feature_ND @ fit_D)
        slope_D = feature_ND.T @ (p_N - won_N) + fit_D
        bend_DD = feature_ND.T @ (feature_ND * (p_N * (1 - p_N))[:, None]) + torch.eye(WIDTH).double()
        fit_D = fit_D - torch.linalg.solve(bend_DD, slope_D)
    return fit_D


def label_curves(query: Budgeted) -> dict[str, dict[str, dict[str, list[list[float]]]]]:
    return {
        str(world): {
            name: {"error": [errors(each, world, seed) for seed in range(SEEDS)]}
            for name, each in (("random", Random(budget=BUDGET)), ("information", query))
        }
        for world in (1, 2, 3)
    }


def test_a_choice_of_the_least_telling_holds_no_claim(monkeypatch: pytest.MonkeyPatch) -> None:
    """In linear worlds, whose information is what the right one counts."""
    query = Information(budget=BUDGET, ridge=0.1)
    right = label_curves(query)
    assert holds(CLAIM, right)
    for world in right.values():
        assert of_world(CLAIM, world, "information", "error", ROUNDS).value < 0.8
    monkeypatch.setattr(information._Gains, "best", least_telling)
    assert not holds(CLAIM, label_curves(query))
