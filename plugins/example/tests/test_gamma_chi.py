"""What only this divergence promises; the kit checks what every divergence must."""

from __future__ import annotations

import pytest
import torch

from xpo_example.gamma_chi import GammaChi

REF = torch.tensor([0.5, 0.3, 0.15, 0.05], dtype=torch.float64)
REWARD = torch.tensor([0.0, 1.0, -0.5, 2.0], dtype=torch.float64)


def test_link_by_hand():
    # u = 3, gamma = 0.5: f'(3) - f'(1) = (3 - 1) + 0.5 log 3
    assert GammaChi(0.5).link(torch.tensor(3.0).log()).item() == pytest.approx(2 + 0.5 * 1.0986123, abs=1e-6)


def test_optimum_fulfils_its_first_order_condition():
    divergence, beta = GammaChi(0.5), 0.3
    log_u = divergence.optimum(REF.log(), REWARD, beta) - REF.log()
    multiplier = REWARD - beta * divergence.link(log_u)
    torch.testing.assert_close(multiplier, multiplier[0].expand(4), rtol=0, atol=1e-9)


def test_a_large_gamma_is_the_reverse_kl():
    # beta gamma stays 0.3, so the chi-squared part's weight goes to 0: pi* = ref exp(r / 0.3) / Z
    optimum = GammaChi(1e6).optimum(REF.log(), REWARD, 0.3e-6).exp()
    tilted = REF * (REWARD / 0.3).exp()
    torch.testing.assert_close(optimum, tilted / tilted.sum(), rtol=1e-4, atol=1e-8)


def test_a_smaller_gamma_lets_a_bad_response_go_further():
    least = REWARD.argmin()
    mass = [GammaChi(gamma).optimum(REF.log(), REWARD, 0.5)[least].item() for gamma in (0.01, 0.1, 1.0)]
    assert mass == sorted(mass)


@pytest.mark.parametrize("gamma", [0.0, -1.0, float("inf"), float("nan")])
def test_gamma_must_be_above_0(gamma: float):
    with pytest.raises(ValueError, match="gamma must be"):
        GammaChi(gamma)
