"""Weights of bad rows: the classifier against a solver of its own, what it reads, what is weighed."""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from tests.explain.interpreter import evaluate
from tests.stages.test_step_zero import composed
from tests.stages.tiny import SIZES, run_here
from xpo.arrow import OffPolicy
from xpo.compose import Refused, build, compose_config
from xpo.contracts import Row
from xpo.errors import UserError
from xpo.explain.formula import formula
from xpo.gold.world import World
from xpo.model.scratch import Scratch
from xpo.scoring.prompts import prompt_embeddings
from xpo.weighting.density_ratio import DensityRatio, fitted


def rows(prompts: Sequence[int], good: Sequence[bool]) -> list[Row]:
    return [Row([p], [[1]], good=[float(g)], bad=[float(not g)]) for p, g in zip(prompts, good, strict=True)]


def one_number(prompts: Sequence[Sequence[int]]) -> Tensor:
    """A prompt's first token as its only feature."""
    return torch.tensor([[float(prompt[0])] for prompt in prompts], dtype=torch.float64)


def newton(x: np.ndarray, y: np.ndarray, weight: np.ndarray, ridge: float) -> np.ndarray:
    """The same regression by another method."""
    table, line = np.column_stack([x, np.ones(len(x))]), np.zeros(x.shape[1] + 1)
    penalty = np.diag([ridge / len(x)] * x.shape[1] + [0.0])
    for _ in range(50):
        p = 1 / (1 + np.exp(-table @ line))
        slope = table.T @ (weight * (p - y)) + penalty @ line
        line -= np.linalg.solve(table.T @ (table * (weight * p * (1 - p))[:, None]) + penalty, slope)
    return line


@pytest.mark.parametrize(("count", "size", "ridge"), [(40, 3, 1.0), (30, 64, 0.1), (200, 5, 1e-3)])
def test_the_classifier_is_the_minimum(count: int, size: int, ridge: float) -> None:
    draw = np.random.default_rng(0)
    x = draw.normal(size=(count, size))
    y = (x[:, 0] + draw.normal(size=count) > 0.4).astype(float)
    weight = draw.uniform(0.5, 2.0, count)
    share = np.where(y == 1, weight / weight[y == 1].sum(), weight / weight[y == 0].sum()) / 2
    slope, offset = fitted(torch.tensor(x), torch.tensor(y == 1), torch.tensor(weight), ridge)
    assert [*slope.tolist(), offset.item()] == pytest.approx(newton(x, y, share, ridge).tolist(), abs=1e-5)


def test_only_bad_rows_are_weighed_by_the_odds():
    """Prompts 0 and 1: of 4 good rows 3 have prompt 1, of 8 bad ones 2: odds 3 at prompt 1, 1/3 at 0."""
    prompts, good = [1, 1, 1, 0] + [1, 1] + [0] * 6, [True] * 4 + [False] * 8
    weighting = DensityRatio(lowest=0.01, highest=100.0, ridge=1e-9)
    held_out = rows([1, 0, 1], [False, False, True])
    train, test, facts = weighting.prepare(rows(prompts, good), held_out, one_number)
    expected = [1.0] * 4 + [3.0] * 2 + [1 / 3] * 6
    assert [row.weight for row in train] == pytest.approx(expected, rel=1e-4)
    assert [row.weight for row in test] == pytest.approx([3.0, 1 / 3, 1.0], rel=1e-4)
    assert facts["greatest weight of bad rows"] == pytest.approx(3.0, rel=1e-4)
    assert facts["mean weight of bad rows"] == pytest.approx((2 * 3 + 6 / 3) / 8, rel=1e-4)
    kept = DensityRatio(lowest=0.5, highest=2.0, ridge=1e-9).prepare(rows(prompts, good), [], one_number)[0]
    assert [row.weight for row in kept] == pytest.approx([1.0] * 4 + [2.0] * 2 + [0.5] * 6)


def test_like_prompts_weigh_one_however_many_are_good():
    train, _, _ = DensityRatio().prepare(rows([0, 1] * 20, [True] * 30 + [False] * 10), [], one_number)
    assert [row.weight for row in train] == pytest.approx([1.0] * 40, abs=1e-6)


def test_weights_of_the_data_are_kept():
    given = [dataclasses.replace(row, weight=2.0) for row in rows([0, 1] * 20, [True] * 30 + [False] * 10)]
    train, _, _ = DensityRatio().prepare(given, [], one_number)
    assert [row.weight for row in train] == pytest.approx([2.0] * 40, abs=1e-6)


@pytest.mark.parametrize("label", [True, False])
def test_one_label_alone_is_refused(label: bool) -> None:
    with pytest.raises(UserError, match="all training rows are"):
        DensityRatio().prepare(rows([0, 1], [label] * 2), [], one_number)


def test_embeddings_are_means_of_the_models_own_hidden_states():
    model = Scratch(hidden=16, layers=2, heads=2, max_length=64).build(World().tokenizer(), seed=3)
    prompts = [[1, 5, 6], [1, 7], [1, 5, 6], [1, 4, 4, 4, 9]]
    found = prompt_embeddings(model, prompts)
    for prompt, vector in zip(prompts, found, strict=True):
        with torch.no_grad():
            hidden = model(input_ids=torch.tensor([prompt]), output_hidden_states=True).hidden_states[-1]
        torch.testing.assert_close(vector, hidden[0].double().mean(0), rtol=1e-5, atol=1e-6)
    assert torch.equal(found[0], found[2])


def test_the_text_says_how_a_row_weighs():
    composition = composed("algo=bco", "weighting=density_ratio", "data.mode=sampled", "weighting.highest=2")
    text = formula(OffPolicy.of(composition, True)).text
    names = {
        f"{when}_{what}" for when in ("step", "past") for what in ("good", "good_mass", "bad", "bad_mass")
    }
    row = dict.fromkeys(names, 1.0) | {"K": 1, "given_weight": 3.0, "mask": np.ones((1, 1), bool)}
    row |= {"logp": np.zeros((1, 1)), "ref_logp": np.zeros((1, 1))}
    good = {"good": np.ones(1), "bad": np.zeros(1), "density_ratio": 7.0}
    bad = {"good": np.zeros(1), "bad": np.ones(1), "density_ratio": 7.0}
    rewards, shift = 0.0, 1.0  # log-ratios are 0, delta is 1
    expected = 3 * math.log1p(math.exp(shift - rewards)) + 3 * 2 * math.log1p(math.exp(rewards - shift))
    assert evaluate(text, [row | good, row | bad], {"rows": 9.0}) == pytest.approx(expected / 9)


@pytest.mark.parametrize(
    ("overrides", "words"),
    [
        (["algo=bco", "weighting=density_ratio"], "weighs rows of drawn responses"),
        (["algo=dpo", "weighting=density_ratio", "data.mode=sampled"], "labels|several responses"),
        (
            ["algo=kto", "arity=pair", "feedback=preference", "weighting=density_ratio", "data.mode=sampled"],
            "as a whole",
        ),
    ],
)
def test_combinations_without_meaning(overrides: list[str], words: str) -> None:
    with pytest.raises(Refused, match=words):
        build(compose_config(overrides))


@pytest.mark.parametrize("algo", ["bco", "kto", "aot_unpaired"])
def test_any_loss_of_single_labels_may_be_weighed(algo: str) -> None:
    build(compose_config([f"algo={algo}", "weighting=density_ratio", "data.mode=sampled"]))


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"lowest": 0.0}, "lowest must be above 0"),
        ({"highest": 0.9}, "highest at least 1"),
        ({"ridge": 0.0}, "ridge must be above 0"),
    ],
)
def test_ranges(fields: dict[str, float], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        DensityRatio(**fields)


def test_a_run_trains_on_the_weights_and_says_them(tmp_path: Path) -> None:
    """Good rows ask about one thing, bad ones mostly about another: bad rows weigh less."""
    data = tmp_path / "labels.jsonl"
    lines = []
    for i in range(24):
        good, red = i % 2 == 0, i % 2 == 0 or i % 8 == 1
        prompt = f"Say {'red' if red else 'cold new'} {i}:"
        lines.append({"prompt": prompt, "completion": f"flat {i}", "label": good})
    data.write_text("".join(json.dumps(line) + "\n" for line in lines))
    base = [f"data.path={data}", *SIZES, "sft=none", "trainer.steps=2", f"cache={tmp_path / 'cache'}"]
    out = [tmp_path / name for name in ("weighed", "plain")]
    found = [
        run_here(folder, "algo=bco", *base, weighting)
        for folder, weighting in zip(out, ("weighting=density_ratio", "weighting=none"), strict=True)
    ]
    manifest = json.loads((out[0] / "manifest.json").read_text())["weighting"]
    assert 0.5 <= manifest["least weight of bad rows"] < 0.9 < manifest["greatest weight of bad rows"] <= 10
    assert found[0]["eval/loss"] != pytest.approx(found[1]["eval/loss"], abs=1e-6)
    assert "weighting" not in json.loads((out[1] / "manifest.json").read_text())


# --- broken variants ------------------------------------------------------------------------------------


def is_bad(row: Row) -> bool:
    return row.bad is not None and row.bad[0] > 0.5


class Inverted(DensityRatio):
    """p(bad) / p(good)."""

    def prepare(self, train, test, embed):  # type: ignore[no-untyped-def]
        found = super().prepare(train, test, embed)[0]
        return [dataclasses.replace(row, weight=1 / row.weight) for row in found], test, {}


class WithPriors(DensityRatio):
    """The odds of the labels themselves: a share of good rows weighs in."""

    def prepare(self, train, test, embed):  # type: ignore[no-untyped-def]
        good = float(sum(not is_bad(row) for row in train))
        odds = good / (len(train) - good)
        found = super().prepare(train, test, embed)[0]
        weighed = [
            row if not is_bad(row) else dataclasses.replace(row, weight=row.weight * odds) for row in found
        ]
        return weighed, test, {}


@pytest.mark.parametrize("kind", [Inverted, WithPriors])
def test_mistakes_are_told_from_the_odds(kind: type[DensityRatio]) -> None:
    prompts, good = [1, 1, 1, 0] + [1, 1] + [0] * 6, [True] * 4 + [False] * 8
    train = kind(0.01, 100.0, 1e-9).prepare(rows(prompts, good), [], one_number)[0]
    assert [row.weight for row in train] != pytest.approx([1.0] * 4 + [3.0] * 2 + [1 / 3] * 6, rel=1e-4)
