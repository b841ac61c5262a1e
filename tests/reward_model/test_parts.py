"""Rows of nested beginnings: the same loss as each beginning fed alone, on both paths; and broken ones."""

from __future__ import annotations

import dataclasses
import itertools
import math
from typing import Any

import pytest
import torch

from tests.module.test_reward_model import alone, batch_of, module_of
from xpo.arrow import Steps
from xpo.contracts import Batch, Row
from xpo.module.reward_model import RewardModule
from xpo.scoring import states
from xpo.scoring.score import Scoring

WHOLE = [7, 8, 9, 9, 3, 5, 12, 11, 4]
SIZES = {1: [4], 2: [5, 1], 3: [9, 2, 3]}  # unequal, in no order: how many tokens each beginning has
LABELS = {1: [0.0], 2: [1.0, 0.5], 3: [0.0, 1.0, 1.0]}  # shares of good


def row(prompt: list[int], size: int, shift: int = 0) -> Row:
    whole = [2 + (token + shift) % 17 for token in WHOLE]
    good = [label / size for label in LABELS[size]]
    return Row(
        prompt,
        [whole[:end] for end in SIZES[size]],
        good=good,
        bad=[1 / size - mass for mass in good],
        weight=float(size),
    )


ROWS = [row([1, 5, 6, 2], 3), row([1, 4], 1, 3), row([1, 3, 3], 2, 5)]


@pytest.fixture(scope="module")
def module() -> RewardModule:
    return module_of("algo=reward_prm", "reward.members=1").eval()


def by_loop(module: RewardModule, rows: list[Row]) -> float:
    """Every beginning an unpadded row of its own, the loss summed in plain numbers; a mean over steps."""
    total = 0.0
    for one in rows:
        for k, response in enumerate(one.responses):
            score = float(alone(module, one, list(response))[0])
            assert one.good is not None and one.bad is not None
            good, bad = one.good[k] * one.weight, one.bad[k] * one.weight
            total += good * math.log1p(math.exp(-score)) + bad * math.log1p(math.exp(score))
    return total / sum(len(one.responses) for one in rows)


def loss(module: RewardModule, rows: list[Row], path: str = "shared", batch: Batch | None = None) -> float:
    batch = batch_of(rows) if batch is None else batch
    totals = dataclasses.replace(batch.totals, rows=sum(one.weight for one in rows))
    batch = dataclasses.replace(batch, totals=totals)
    scoring, module.scoring = module.scoring, Scoring(path)  # pyright: ignore
    try:
        with torch.no_grad():
            return float(module.evaluate(batch, Steps())[0])
    finally:
        module.scoring = scoring


@pytest.mark.parametrize("path", ["shared", "plain"])
def test_nested_rows_are_their_beginnings_fed_alone(module: RewardModule, path: str):
    for count in (1, 2, 3):
        for rows in itertools.permutations(ROWS, count):
            assert loss(module, list(rows), path) == pytest.approx(by_loop(module, list(rows)), abs=1e-5)


@pytest.mark.parametrize("path", ["shared", "plain"])
def test_gradients_are_those_of_beginnings_fed_alone(module: RewardModule, path: str):
    def gradients(rows: list[Row]) -> torch.Tensor:
        module.zero_grad()
        module.scoring = Scoring(path)  # pyright: ignore
        batch = batch_of(rows)
        weight = sum(one.weight for one in rows)
        batch = dataclasses.replace(batch, totals=dataclasses.replace(batch.totals, rows=weight))
        module.evaluate(batch, Steps())[0].backward()
        layer = module.policy.model.layers[0].self_attn.q_proj.weight
        assert layer.grad is not None and module.head.score.weight.grad is not None
        return torch.cat([layer.grad.flatten(), module.head.score.weight.grad.flatten()]).clone()

    nested = gradients(ROWS)
    singles = [
        Row(
            one.prompt,
            [one.responses[k]],
            good=[one.good[k] * one.weight],
            bad=[one.bad[k] * one.weight],
        )
        for one in ROWS
        for k in range(len(one.responses))
        if one.good is not None and one.bad is not None
    ]
    torch.testing.assert_close(nested, gradients(singles), rtol=1e-4, atol=1e-6)
    assert nested.abs().max() > 1e-3


@pytest.mark.parametrize("by", [-1, 1])
def test_an_end_that_is_off_by_one_is_caught(module: RewardModule, by: int):
    rows = [one for one in ROWS if min(map(len, one.responses)) + by > 0]
    moved = [
        dataclasses.replace(
            one, responses=[[*max(one.responses, key=len), 2][: len(r) + by] for r in one.responses]
        )
        for one in rows
    ]
    assert abs(loss(module, moved) - by_loop(module, rows)) > 1e-3


def test_a_reading_of_the_longest_beginning_is_caught(module: RewardModule, monkeypatch: pytest.MonkeyPatch):
    """A mask of the whole in place of each beginning's own."""

    def last(self: states.TokenStates, batch: Batch) -> Any:
        longest = (
            batch.token_BKT.sum(-1, keepdim=True).amax(1, keepdim=True).expand(-1, self.node_BKT.shape[1], 1)
        )
        return self.hidden_SD[self.node_BKT.gather(2, longest - 1).squeeze(2)]

    monkeypatch.setattr(states.TokenStates, "last", last)
    assert abs(loss(module, ROWS) - by_loop(module, ROWS)) > 1e-3


def test_labels_of_other_beginnings_are_caught(module: RewardModule):
    turned = [dataclasses.replace(one, good=one.bad, bad=one.good) for one in ROWS]
    assert abs(loss(module, turned) - by_loop(module, ROWS)) > 1e-3
