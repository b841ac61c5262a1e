"""Implicit and explicit rewards by hand."""

from __future__ import annotations

import pytest
import torch

from xpo.reward.explicit import Explicit
from xpo.reward.implicit import Implicit
from xpo.reward_form.none import NoForm
from xpo.reward_form.pairwise import Pairwise
from xpo.reward_form.pointwise import Pointwise
from xpo.testing import Toy, failures, toy


def one_row() -> Toy:
    """Three responses; the first two were compared, the third was left out."""
    t = toy(rows=1, responses=3, ragged=False)
    prefer = torch.tensor([[[0.0, 0.9, 0.0], [0.1, 0.0, 0.0], [0.0, 0.0, 0.0]]]).double()
    win = torch.tensor([[[0.5, 0.25, 1.0], [0.75, 0.5, 0.2], [0.0, 0.8, 0.5]]]).double()
    return t.replace(prefer_BKK=prefer, win_BKK=win, score_BK=torch.tensor([[0.0, 1.0, 99.0]]).double())


def test_relabelled_by_scores():
    share = 1 / (1 + 2.718281828459045 ** (1.0 / 2.0))
    new = Explicit(scale=2.0).relabelled(one_row().batch, Pointwise()).prefer_BKK
    assert new is not None
    expected = torch.tensor([[[0.0, share, 0.0], [1 - share, 0.0, 0.0], [0.0, 0.0, 0.0]]]).double()
    torch.testing.assert_close(new, expected)


def test_relabelled_by_a_preference_model():
    new = Explicit().relabelled(one_row().batch, Pairwise()).prefer_BKK
    assert new is not None
    assert new[0].tolist() == [
        [0.0, pytest.approx(0.25), 0.0],
        [pytest.approx(0.75), 0.0, 0.0],
        [0.0, 0.0, 0.0],
    ]
    # a scale of 2 halves the log-odds of winning: odds 1/3 become (1/3)^(1/2)
    odds = 3**-0.5
    flatter = Explicit(scale=2.0).relabelled(one_row().batch, Pairwise()).prefer_BKK
    assert flatter is not None
    assert flatter[0, 0, 1].item() == pytest.approx(odds / (1 + odds))


def test_certain_wins_are_no_infinity():
    t = one_row().replace(prefer_BKK=torch.tensor([[[0.0, 0, 0.5], [0, 0, 0], [0.5, 0, 0]]]).double())
    new = Explicit(scale=3.0).relabelled(t.batch, Pairwise()).prefer_BKK
    assert new is not None
    assert new[0, 0, 2].item() == 1.0 and new[0, 2, 0].item() == 0.0 and torch.isfinite(new).all()


def test_scaled_scores():
    assert Explicit(scale=4.0).scaled(one_row().batch).score_BK.tolist() == [[0.0, 0.25, 24.75]]  # pyright: ignore


def test_kit_with_other_fields():
    assert failures(Explicit(beta=0.7, scale=0.3), "reward") == []
    assert failures(Implicit(beta=3.0), "reward") == []


def test_missing_labels_are_named():
    batch = one_row().replace(score_BK=None, win_BKK=None).batch
    with pytest.raises(ValueError, match="needs scores"):
        Explicit().relabelled(batch, Pointwise())
    with pytest.raises(ValueError, match="needs win probabilities"):
        Explicit().relabelled(batch, Pairwise())
    with pytest.raises(ValueError, match="reward_form=none gives no labels"):
        Explicit().relabelled(batch, NoForm())
    with pytest.raises(ValueError, match="carry none"):
        Explicit().scaled(batch)
    with pytest.raises(ValueError, match="carry none"):
        Explicit().relabelled(one_row().replace(prefer_BKK=None).batch, Pointwise())


@pytest.mark.parametrize("value", [0.0, -1.0, float("nan"), float("inf")])
def test_ranges(value: float) -> None:
    with pytest.raises(ValueError, match="beta must be above 0"):
        Implicit(beta=value)
    with pytest.raises(ValueError, match="beta must be above 0"):
        Explicit(beta=value)
    with pytest.raises(ValueError, match="scale must be above 0"):
        Explicit(scale=value)
