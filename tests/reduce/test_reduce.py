"""What losses per token are averaged over, by hand."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest
import torch
from torch import Tensor

from xpo.reduce.fixed_length import FixedLength
from xpo.reduce.responses import Responses
from xpo.reduce.rows import Rows
from xpo.reduce.tokens import Tokens
from xpo.testing import checks_for, failures, toy
from xpo.testing.checks_common import CHECKS as COMMON

NAN = float("nan")
LOSS = torch.tensor([[[1.0, 2.0, 6.0, NAN], [NAN, 5.0, NAN, NAN], [NAN] * 4]], dtype=torch.float64)


@pytest.mark.parametrize(
    ("option", "expected"),
    [
        (Rows(), [9.0, 5.0, 0.0]),
        (Tokens(), [9.0, 5.0, 0.0]),
        (Responses(), [3.0, 5.0, 0.0]),
        (FixedLength(4), [2.25, 1.25, 0.0]),
    ],
)
def test_of_tokens_by_hand(option: Any, expected: list[float]) -> None:
    found = option.of_tokens(LOSS, ~LOSS.isnan())
    assert found.tolist() == [expected]


def test_the_mean_over_a_step() -> None:
    """Two prompts of two responses each, losses 1 everywhere: 3 + 1 and 2 + 4 tokens."""
    mask = torch.arange(4) < torch.tensor([[3, 1], [2, 4]])[..., None]
    batch = toy(rows=2, responses=2, tokens=4).batch
    totals = dataclasses.replace(batch.totals, rows=2.0, tokens=(3 + 1) / 2 + (2 + 4) / 2)
    batch = dataclasses.replace(batch, totals=totals, weight_B=torch.ones(2, dtype=torch.float64))
    options = {Rows(): (4 + 6) / 4, Tokens(): 1.0, Responses(): 1.0, FixedLength(8): 10 / 4 / 8}
    for option, expected in options.items():
        loss_BK = option.of_tokens(torch.ones(mask.shape, dtype=torch.float64), mask)
        numerator, denominator = option(loss_BK.mean(1), batch)
        assert float(numerator / denominator) == pytest.approx(expected), option


def test_refused() -> None:
    with pytest.raises(ValueError, match="length must be at least 1, got 0"):
        FixedLength(0)


class OverPadding(Responses):
    def of_tokens(self, loss_BKT: Tensor, mask_BKT: Tensor) -> Tensor:
        return torch.where(mask_BKT, loss_BKT, 0.0).mean(-1)


class ReadsPadding(FixedLength):
    def of_tokens(self, loss_BKT: Tensor, mask_BKT: Tensor) -> Tensor:
        return loss_BKT.sum(-1) / self.length


class LongestOfTheBatch(FixedLength):
    def of_tokens(self, loss_BKT: Tensor, mask_BKT: Tensor) -> Tensor:
        return torch.where(mask_BKT, loss_BKT, 0.0).sum(-1) / mask_BKT.sum(-1).max()


class PlainSum(Responses):
    def of_tokens(self, loss_BKT: Tensor, mask_BKT: Tensor) -> Tensor:
        return torch.where(mask_BKT, loss_BKT, 0.0).sum(-1)


@pytest.mark.parametrize("broken", [ReadsPadding, LongestOfTheBatch, PlainSum])
def test_the_kit_catches_wrong_sums(broken: type) -> None:
    checks = [check for check in checks_for("reduce") if check not in COMMON]
    assert not failures(broken.__mro__[1](), "reduce", checks)
    assert failures(broken(), "reduce", checks)


def test_a_mean_over_padding_is_caught() -> None:
    assert OverPadding().of_tokens(LOSS, ~LOSS.isnan()).tolist() != [[3.0, 5.0, 0.0]]
