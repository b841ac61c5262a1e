"""Demonstrations that are imitated with every step of a policy gradient (PPO-ptx)."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest
import torch

from tests.on_policy.hand import EOS, Hand, logps
from xpo.contracts import Row
from xpo.data.collate import Collator
from xpo.data.plan import Sizes
from xpo.stages import rollouts
from xpo.stages.rollouts import Demonstrations
from xpo.stages.source import Rows

SHOWN = [[5, EOS], [6, 7, 8, EOS], [EOS], [9, 9, EOS], [3, 4, 5, 6, EOS]]
ROWS = [Row([1, 11 + b % 4], [response], demo=[1.0]) for b, response in enumerate(SHOWN)]


def demonstrations(batch: int, ranks: tuple[int, int] = (0, 1), population: bool = False) -> Demonstrations:
    return Demonstrations(Rows(ROWS, population=population), Sizes(batch, 1_000), Collator(0), ranks)


def indices(found: Any) -> list[int]:
    return [i for batch in found if batch is not None for i in batch.index_B.tolist()]


@pytest.mark.parametrize("micro_batches", [1, 2, 3, 7])
def test_every_step_has_them_in_as_many_micro_batches(micro_batches: int) -> None:
    """5 rows in steps of 2: three steps of an epoch, each row once, whatever fits at once."""
    shown = demonstrations(2)
    steps = [shown(step, micro_batches) for step in range(6)]
    assert all(len(found) == micro_batches for found in steps)
    epochs = [sorted(i for found in steps[start : start + 3] for i in indices(found)) for start in (0, 3)]
    assert epochs == [[0, 1, 2, 3, 4]] * 2
    assert [indices(found) for found in steps[:3]] != [indices(found) for found in steps[3:]]


def test_a_population_comes_whole() -> None:
    assert indices(demonstrations(2, population=True)(0, 2)) == [0, 2, 4, 1, 3]


def test_ranks_share_them() -> None:
    both = [demonstrations(4, (rank, 2))(0, 2) for rank in (0, 1)]
    assert sorted(i for found in both for i in indices(found)) == sorted(indices(demonstrations(4)(0, 1)))


def likelihood(micro_batches: int, *overrides: str) -> float:
    """What all micro-batches of a step add to its loss."""
    hand = Hand(("algo=ppo_ptx", "sft.weight=0.5", *overrides), [[[5, EOS]], [[6, EOS]]], [[1.0], [0.0]])
    shares = [hand.module._imitated(b) for b in demonstrations(5)(0, micro_batches) if b is not None]
    return float(torch.stack(shares).sum().detach())


@pytest.mark.parametrize("micro_batches", [1, 2, 3])
def test_their_likelihood_is_a_mean_over_the_tokens_of_the_step(micro_batches: int) -> None:
    total = sum(sum(logps([1, 11 + b % 4], response)) for b, response in enumerate(SHOWN))
    expected = -0.5 * total / sum(map(len, SHOWN))
    assert likelihood(micro_batches) == pytest.approx(expected, rel=1e-5)


def test_it_is_added_to_what_is_reinforced() -> None:
    hand = Hand(("algo=ppo_ptx", "schedule.epochs=1", "schedule.minibatches=1"), [[[5, EOS]]], [[1.0]])
    (batch,) = hand.batches()
    (shown,) = demonstrations(5)(0, 1)
    alone, both = (
        float(hand.module.loss(dataclasses.replace(batch, beside=beside)).detach())
        for beside in (None, shown)
    )
    assert both - alone == pytest.approx(2 * likelihood(1), rel=1e-4)


def test_broken_variants_are_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    """Denominators of a micro-batch, and rows that come twice."""
    totals = rollouts.totals_of
    with monkeypatch.context() as patched:
        patched.setattr(rollouts, "totals_of", lambda rows, number: totals(rows[::number], number))
        with pytest.raises(AssertionError):
            test_their_likelihood_is_a_mean_over_the_tokens_of_the_step(2)
    with monkeypatch.context() as patched:
        patched.setattr(Demonstrations, "_drawn", lambda self, step: [0, 1])
        with pytest.raises(AssertionError):
            test_every_step_has_them_in_as_many_micro_batches(1)
