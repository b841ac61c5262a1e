"""BCO's reward shift: by hand, over steps, for labels that are missing; broken variants."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import pytest
import torch
from torch import Tensor

from tests.objective.oracles import softplus
from tests.objective.test_matched import labelled
from tests.test_mutations import caught, mutant, original
from xpo.contracts import Batch, Context, Step
from xpo.objective.binary_logistic import BinaryLogistic
from xpo.testing import Toy, toy


def after(momentum: float, *steps: Toy) -> Step:
    """What is known after these steps."""
    objective, memory, found = BinaryLogistic(momentum), torch.zeros(4, dtype=torch.float64), None
    for t in steps:
        values = objective.observe(t.reward_BK, t.batch, Context())
        found = Step(values, t.batch.weight_B, t.batch.index_B, memory)
        memory = objective.remember(found)
        found = dataclasses.replace(found, memory=memory)
    assert found is not None
    return found


def delta(momentum: float, *steps: Toy) -> float:
    return BinaryLogistic(momentum).delta(Context(step=after(momentum, *steps))).item()


FIRST = labelled([1.0, 3.0, -2.0], [True, True, False])  # means 2 and -2
SECOND = labelled([4.0, 0.0, -1.0, -3.0], [True, False, False, False])  # means 4 and -4/3
SHIFT = 0.53221288515406  # after both, at momentum 0.9


def test_delta_is_the_middle_of_two_means():
    assert delta(0.9, FIRST) == pytest.approx(0.0)
    assert delta(0.0, FIRST, SECOND) == pytest.approx((4 - 4 / 3) / 2)
    everything = [1.0, 3.0, -2.0]  # one mean over all rewards, as other code has it, leans to the good ones
    assert sum(everything) / 3 == pytest.approx(2 / 3)


def test_delta_remembers_with_its_momentum():
    """Sums per row: good (4/3, 2/3) then (1, 1/4); bad (-2/3, 1/3) then (-1, 3/4)."""
    good = (0.9 * 4 / 3 + 1) / (0.9 * 2 / 3 + 0.25)
    bad = (0.9 * -2 / 3 - 1) / (0.9 / 3 + 0.75)
    assert (good, bad) == pytest.approx((2.5882352941, -1.5238095238))
    assert delta(0.9, FIRST, SECOND) == pytest.approx((2.5882352941 - 1.5238095238) / 2)


def test_weights_count():
    t = labelled([1.0, 3.0, -2.0], [True, True, False], [3.0, 1.0, 5.0])
    assert delta(0.9, t) == pytest.approx(((3 * 1 + 3) / 4 - 2) / 2)


def test_a_label_that_was_never_seen_counts_as_zero():
    assert delta(0.9, labelled([1.0, 2.0], [True, True])) == pytest.approx(0.75)
    assert delta(0.9, labelled([1.0, 2.0], [True, True]), FIRST) == pytest.approx(
        ((0.9 * 1.5 + 4 / 3) / (0.9 + 2 / 3) - 2) / 2
    )


@pytest.mark.parametrize("seed", [0, 1])
def test_loop_oracle(seed: int) -> None:
    t, expected = toy(rows=3, responses=3, ragged=False, seed=seed), []
    assert t.batch.good_BK is not None and t.batch.bad_BK is not None
    for b in range(3):
        row = (x[b].tolist() for x in (t.reward_BK, t.batch.good_BK, t.batch.bad_BK))
        terms = [
            good * softplus(SHIFT - r) + bad * softplus(r - SHIFT) for r, good, bad in zip(*row, strict=True)
        ]
        expected.append(sum(terms))
    found = BinaryLogistic()(t.reward_BK, t.batch, Context(step=after(0.9, FIRST, SECOND)))
    assert found.tolist() == pytest.approx(expected, rel=1e-10)


def test_before_any_step_delta_is_zero():
    t = labelled([0.0, 0.0], [True, False])
    step = Step(torch.zeros(2, 4).double(), t.batch.weight_B, t.batch.index_B, torch.zeros(4).double())
    value = BinaryLogistic()(t.reward_BK, t.batch, Context(step=step))
    assert value.tolist() == pytest.approx([math.log(2)] * 2)


@pytest.mark.parametrize("momentum", [-0.1, 1.0, math.nan])
def test_ranges(momentum: float) -> None:
    with pytest.raises(ValueError, match="momentum must be at least 0 and below 1"):
        BinaryLogistic(momentum)


def _no_shift(self: Any, reward_BK: Tensor, batch: Batch, context: Context) -> Tensor:
    assert context.step is not None
    step = dataclasses.replace(context.step, memory=torch.zeros(4, dtype=reward_BK.dtype))
    return original(self, reward_BK, batch, dataclasses.replace(context, step=step))


def _shift_with_the_wrong_sign(self: Any, reward_BK: Tensor, batch: Batch, context: Context) -> Tensor:
    assert context.step is not None and context.step.memory is not None
    flipped = context.step.memory * torch.tensor([-1.0, 1.0, -1.0, 1.0], dtype=reward_BK.dtype)
    step = dataclasses.replace(context.step, memory=flipped)
    return original(self, reward_BK, batch, dataclasses.replace(context, step=step))


def _shift_with_gradient(self: Any, reward_BK: Tensor, batch: Batch, context: Context) -> Tensor:
    own = reward_BK.mean()
    return original(self, reward_BK - own + own.detach(), batch, context)


@pytest.mark.parametrize("call", [_no_shift, _shift_with_the_wrong_sign, _shift_with_gradient])
def test_mistakes_are_caught(call: Any) -> None:
    broken, t = mutant(BinaryLogistic(), call), labelled([1.0, -1.0], [True, False])
    found = broken(t.reward_BK, t.batch, Context(step=after(0.9, FIRST, SECOND)))
    expected = [softplus(-(1.0 - SHIFT)), softplus(-1.0 - SHIFT)]
    assert found.tolist() != pytest.approx(expected) or caught(broken, "objective") != []
