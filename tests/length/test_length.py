"""Length rules by hand numbers."""

from __future__ import annotations

import pytest
import torch

from xpo.length.mean import Mean
from xpo.length.penalty import Penalty
from xpo.length.shared_length import SharedLength
from xpo.length.sum import Sum

# one prompt, responses of 3, 1 and 2 tokens; what stands behind them is not theirs
RATIO = torch.tensor([[[1.0, 2.0, 4.0], [8.0, 99.0, 99.0], [0.0, 16.0, 99.0]]])
MASK = torch.tensor([[[1, 1, 1], [1, 0, 0], [1, 1, 0]]]).bool()


def test_pools_by_hand():
    assert Sum().pool(RATIO, MASK).tolist() == [[7.0, 8.0, 16.0]]
    assert Mean().pool(RATIO, MASK).tolist() == [[pytest.approx(7 / 3), 8.0, 8.0]]  # a log-ratio of 0 counts
    assert Penalty(0.25).pool(RATIO, MASK).tolist() == [[7.0, 8.0, 16.0]]
    # the shortest response has 1 token: all others weigh 1/4
    assert SharedLength(0.25).pool(RATIO, MASK).tolist() == [[2.5, 8.0, 4.0]]
    assert SharedLength(0.0).pool(RATIO, MASK).tolist() == [[1.0, 8.0, 0.0]]


def test_shared_length_leaves_absent_responses_out():
    two = MASK.clone()
    two[0, 1] = False  # now the shortest has 2 tokens
    assert SharedLength(0.25).pool(RATIO, two).tolist() == [[4.0, 0.0, 16.0]]


def test_shared_length_counts_trained_tokens():
    """A mask with a hole: positions are counted among the trained tokens."""
    ratio = torch.tensor([[[1.0, 2.0, 4.0], [8.0, 16.0, 32.0]]])
    mask = torch.tensor([[[1, 0, 1], [1, 1, 1]]]).bool()
    assert SharedLength(0.5).pool(ratio, mask).tolist() == [[5.0, 8 + 16 + 0.5 * 32]]


def test_offsets_by_hand():
    assert Penalty(0.25).offset(MASK).tolist() == [[0.75, 0.25, 0.5]]
    assert not Mean().offset(MASK).any()


def test_nothing_is_divided_by_0():
    empty = torch.zeros_like(MASK)
    for rule in (Sum(), Mean(), Penalty(), SharedLength()):
        assert rule.pool(RATIO, empty).tolist() == [[0.0, 0.0, 0.0]]


@pytest.mark.parametrize("alpha", [0.0, -1.0, float("nan"), float("inf")])
def test_penalty_range(alpha: float) -> None:
    with pytest.raises(ValueError, match="alpha must be above 0"):
        Penalty(alpha)


@pytest.mark.parametrize("alpha", [1.0, -0.1, float("nan")])
def test_shared_length_range(alpha: float) -> None:
    with pytest.raises(ValueError, match="alpha must be from 0 to below 1"):
        SharedLength(alpha)
