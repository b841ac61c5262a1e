"""Objectives that read labels' shares, win rates, or rewards on their own: by hand, and where they lead."""

from __future__ import annotations

import dataclasses
import math

import pytest
import torch

from tests.objective.test_beyond_gaps import BETA, slopes, value
from tests.objective.test_objective import pair, seen
from tests.test_arrow import arrow
from tests.test_population import REF, REWARD, WIN, close, minimiser
from xpo.label_noise.smoothing import Smoothing
from xpo.objective.anchored import Anchored
from xpo.objective.anchored_down import AnchoredDown
from xpo.objective.calibrated import Calibrated
from xpo.objective.logistic import Logistic
from xpo.objective.noise_contrastive import NoiseContrastive
from xpo.objective.prospect import Prospect
from xpo.objective.reverse_kl_labels import ReverseKLLabels
from xpo.objective.win_rate_regression import WinRateRegression
from xpo.reward.implicit import Implicit
from xpo.testing import Toy, toy


def soft(chosen: float, rejected: float, share: float) -> Toy:
    prefer = torch.tensor([[[0.0, share], [1 - share, 0.0]]], dtype=torch.float64)
    return pair(chosen, rejected).replace(prefer_BKK=prefer)


def test_reverse_kl_by_hand():
    t = soft(math.log(3), 0.0, 0.9)  # p = 3/4 against 9/10: 3/4 log(5/6) + 1/4 log(5/2)
    assert value(ReverseKLLabels(), t).item() == pytest.approx(0.0923315, abs=1e-7)
    # p (1 - p) (gap - log 9) = 3/16 (log 3 - log 9): the outer probability is not a constant
    assert slopes(ReverseKLLabels(), t) == pytest.approx([-0.2059898, 0.2059898], abs=1e-7)
    fitted = soft(math.log(9), 0.0, 0.9)
    assert value(ReverseKLLabels(), fitted).item() == pytest.approx(0.0, abs=1e-12)
    assert slopes(ReverseKLLabels(), fitted) == pytest.approx([0.0, 0.0], abs=1e-12)
    assert value(ReverseKLLabels(), soft(0.0, 0.0, 0.999)).item() == pytest.approx(2.7612, abs=5e-5)


def test_reverse_kl_takes_a_margin_in_both_orders():
    t = soft(1.3, 0.2, 0.6)  # gaps 1.1 - 0.4 and -1.1 - 0.4, labels 0.6 and 0.4
    p, q = 0.6681877722, 0.1824255238  # sigmoid(0.7), sigmoid(-1.5)
    above = p * math.log(p / 0.6) + (1 - p) * math.log((1 - p) / 0.4)
    below = q * math.log(q / 0.4) + (1 - q) * math.log((1 - q) / 0.6)
    found = value(ReverseKLLabels(), t, margin_BKK=0.4).item()
    assert found == pytest.approx(0.6 * above + 0.4 * below, abs=1e-9)


def test_reverse_kl_refuses_certain_labels_and_no_others():
    with pytest.raises(ValueError, match="label_noise=smoothing, or .* reward=explicit"):
        value(ReverseKLLabels(), pair(0.3, 0.1))
    with pytest.raises(ValueError, match="hard label"):  # flips undone
        value(ReverseKLLabels(), soft(0.3, 0.1, 1.1))
    # scores 60 apart in float32 are not certain: log q is 60
    sure = soft(-40.0, 40.0, 0.5).replace(prefer_BKK=torch.tensor([[[0.0, 1.0], [math.exp(-60.0), 0.0]]]))
    assert value(ReverseKLLabels(), sure.to(torch.float32)).item() == pytest.approx(60.0)


def test_calibrated_by_hand():
    t = pair(2.0, -1.0)  # -log sigmoid(3) + 1/2 ((2 - 5)^2 + (-1 + 5)^2)
    assert value(Calibrated(5.0, 0.5), t).item() == pytest.approx(12.5485874, abs=1e-7)
    at_reference = pair(0.0, 0.0)
    assert value(Calibrated(5.0, 1.0), at_reference).item() == pytest.approx(
        50.6931472
    )  # log 2 + 1 / (2 0.1^2)
    assert slopes(Calibrated(5.0, 0.5), at_reference) == pytest.approx([-5.5, 5.5])
    assert value(Calibrated(5.0, 1e-15), t).item() == pytest.approx(value(Logistic(), t).item())


def test_anchored_by_hand():
    t = pair(1.0, -2.0)
    assert value(Anchored(), t).item() == pytest.approx(0.3881443, abs=1e-7)  # sigmoid(-1) + sigmoid(-2)
    assert slopes(Anchored(2.0, 3.0), pair(0.0, 0.0)) == pytest.approx([-0.5, 0.75])
    zero = seen(torch.tensor([0.0, 4.0], dtype=torch.float64))
    t = toy()
    prospect = value(Prospect(1.2, 0.7), t, step=zero)
    torch.testing.assert_close(value(Anchored(1.2, 0.7), t), prospect)  # KTO with its KL at 0


def test_anchored_down_by_hand():
    assert value(AnchoredDown(), pair(1.0, -2.0)).item() == pytest.approx(0.7784844, abs=1e-7)
    assert value(AnchoredDown(), pair(0.0, 0.0)).item() == pytest.approx(1.0)
    assert slopes(AnchoredDown(), pair(0.0, 0.0)) == pytest.approx([0.0, 0.25])
    far = slopes(
        AnchoredDown(), pair(0.0, -30.0)
    )  # the pair is apart: what is left pulls the better one down
    assert far == pytest.approx([0.25, 0.0], abs=1e-9)
    shifted = value(AnchoredDown(), pair(1.0, -2.0), margin_BKK=0.5).item()
    assert shifted == pytest.approx(0.7310586 + 0.0758582, abs=1e-7)  # sigmoid(1) + sigmoid(-2.5)


def test_noise_contrast_by_hand():
    # log(1 + e^-1) + 1/2 log(1 + e) + 1/2 log(1 + e^-2)
    assert value(NoiseContrastive(), pair(1.0, -2.0)).item() == pytest.approx(1.0333565, abs=1e-7)
    assert value(NoiseContrastive(), pair(0.0, 0.0)).item() == pytest.approx(2 * math.log(2))
    assert slopes(NoiseContrastive(), pair(0.0, 0.0)) == pytest.approx([-0.25, 0.25])
    # a preferred reward comes to rest where sigmoid is 2/3, whatever the other one does
    assert slopes(NoiseContrastive(), pair(math.log(2), -9.0))[0] == pytest.approx(0.0, abs=1e-12)


@pytest.mark.parametrize(("share", "expected"), [(1.0, 0.125), (0.8, 0.085), (0.5, 0.625)])
def test_win_rate_regression_by_hand(share: float, expected: float) -> None:
    """beta 1/2, log-ratios 1 and -1/2, targets 2 (P - 1/2) and -2 (P - 1/2): half the sum of squares."""
    t = soft(0.5, -0.25, share)
    assert value(WinRateRegression(), t, beta=0.5).item() == pytest.approx(expected)


@pytest.mark.parametrize("beta", [0.001, 0.1, 1.0])
def test_win_rate_regression_at_the_reference(beta: float) -> None:
    at_reference = pair(0.0, 0.0)
    assert value(WinRateRegression(), at_reference, beta=beta).item() == pytest.approx(0.25 / beta**2)
    found = [slope * beta for slope in slopes(WinRateRegression(), at_reference, beta=beta)]
    assert found == pytest.approx([-0.5 / beta, 0.5 / beta])  # by the log-ratio; TRL's has no 1/2


def test_counting_itself_is_a_larger_beta_for_the_target():
    """P over K with 1/2 for itself: (P - 1/2) (K - 1) / K."""
    t = toy(rows=2, responses=4, ragged=False)
    target = 4 / 3 * BETA
    same = value(WinRateRegression(), t, beta=target) * (target / BETA) ** 2
    scaled = dataclasses.replace(t, reward_BK=t.reward_BK * 3 / 4)
    other = value(WinRateRegression(itself=True), scaled)
    torch.testing.assert_close(other, same * (3 / 4) ** 2)


def test_both_sides_fall_in_apo_down():
    found = slopes(AnchoredDown(), pair(0.0, -4.0))
    assert found[0] > 0 and found[1] > 0


@pytest.mark.parametrize("beta", [0.5, 1.0])
def test_reverse_kl_to_true_labels_finds_the_same_optimum(beta: float) -> None:
    expected = torch.softmax(REF.log() + REWARD / beta, 0)
    close(minimiser(arrow(objective=ReverseKLLabels(), reward=Implicit(beta))), expected, 1e-4)
    smoothed = minimiser(
        arrow(objective=ReverseKLLabels(), reward=Implicit(beta), label_noise=Smoothing(0.2))
    )
    assert (smoothed - expected).abs().max() > 1e-2


@pytest.mark.parametrize("beta", [0.1, 0.3])
def test_win_rates_are_fitted_as_far_as_probabilities_sum_to_one(beta: float) -> None:
    """2 (d - target) + lambda e^d = 0 for every response, with one lambda: no tilt of the reference."""
    policy = minimiser(arrow(objective=WinRateRegression(), reward=Implicit(beta)))
    ratio, target = (policy / REF).log(), (WIN @ REF - 0.5) / beta
    found = 2 * (target - ratio) / ratio.exp()
    assert (found - found.mean()).abs().max() < 1e-4
    assert (policy - torch.softmax(REF.log() + target, 0)).abs().max() > 1e-3
