"""Divergences against their definitions, direct maximisation, and each other."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from xpo.divergence.alpha import Alpha
from xpo.divergence.base import EXPONENT_LIMIT, beyond_limit, expm1, log_wright_omega
from xpo.divergence.chi2 import Chi2
from xpo.divergence.chi2_kl import Chi2KL
from xpo.divergence.forward_kl import ForwardKL
from xpo.divergence.hellinger import Hellinger
from xpo.divergence.jeffreys import Jeffreys
from xpo.divergence.js import JensenShannon
from xpo.divergence.none import NoDivergence
from xpo.divergence.reverse_kl import ReverseKL
from xpo.divergence.total_variation import TotalVariation

PI = torch.tensor([0.05, 0.3, 0.02, 0.33, 0.2, 0.1], dtype=torch.float64)
REF = torch.tensor([0.4, 0.2, 0.15, 0.15, 0.06, 0.04], dtype=torch.float64)
REWARD = torch.tensor([0.1, -0.9, 1.3, 0.55, -0.2, 0.9], dtype=torch.float64)

# D_f as a distance of two distributions, in its text-book form: no f, no u, no link.
BY_DEFINITION: list[tuple[Any, Callable[[Tensor, Tensor], Tensor]]] = [
    (ReverseKL(), lambda p, q: (p * (p / q).log()).sum()),
    (ForwardKL(), lambda p, q: (q * (q / p).log()).sum()),
    (
        JensenShannon(),
        lambda p, q: (p * (2 * p / (p + q)).log() + q * (2 * q / (p + q)).log()).sum(),
    ),
    (Alpha(0.3), lambda p, q: (1 - (p**0.7 * q**0.3).sum()) / 0.21),
    (Hellinger(), lambda p, q: 2 - 2 * (p * q).sqrt().sum()),
    (Jeffreys(), lambda p, q: ((p - q) * (p / q).log()).sum()),
    (Chi2(), lambda p, q: (p**2 / q).sum() - 1),
    (Chi2KL(), lambda p, q: ((p**2 / q).sum() - 1) / 2 + (p * (p / q).log()).sum()),
    (TotalVariation(), lambda p, q: torch.clamp(p - q, min=0).sum()),
]
SMOOTH = [pair for pair in BY_DEFINITION if pair[0].invertible]


def name(value: Any) -> str:
    return type(value).__name__ if not callable(value) else ""


@pytest.mark.parametrize(("divergence", "definition"), BY_DEFINITION, ids=name)
def test_exact_is_the_definition(divergence: Any, definition: Callable[[Tensor, Tensor], Tensor]) -> None:
    torch.testing.assert_close(
        divergence.exact(PI.log(), REF.log()), definition(PI, REF), rtol=1e-12, atol=1e-12
    )


@pytest.mark.parametrize(("divergence", "definition"), SMOOTH, ids=name)
@pytest.mark.parametrize("beta", [0.3, 1.0, 3.0])
def test_optimum_is_what_direct_maximisation_finds(
    divergence: Any, definition: Callable[[Tensor, Tensor], Tensor], beta: float
) -> None:
    logits = REF.log().clone().requires_grad_()
    optimizer = torch.optim.LBFGS(
        [logits], max_iter=2000, tolerance_grad=1e-12, tolerance_change=0, line_search_fn="strong_wolfe"
    )

    def closure() -> Tensor:
        optimizer.zero_grad()
        pi = logits.softmax(0)
        loss = beta * definition(pi, REF) - (pi * REWARD).sum()
        loss.backward()
        return loss

    optimizer.step(closure)
    found = logits.detach().softmax(0)
    torch.testing.assert_close(divergence.optimum(REF.log(), REWARD, beta).exp(), found, rtol=0, atol=1e-6)


def test_sparse_optima_by_hand():
    ref = torch.tensor([0.5, 0.5], dtype=torch.float64).log()
    reward = torch.tensor([1.0, 0.0], dtype=torch.float64)
    # chi2: u = 1 + (r - 1/2) / (2 beta) while that is positive, so 1.25 / 0.75 at beta 1 and all mass at 0.1
    torch.testing.assert_close(Chi2().optimum(ref, reward, 1.0).exp(), torch.tensor([0.625, 0.375]).double())
    torch.testing.assert_close(Chi2().optimum(ref, reward, 0.1).exp(), torch.tensor([1.0, 0.0]).double())
    # total variation: nothing moves while the reward's range is below beta, all of it above
    torch.testing.assert_close(TotalVariation().optimum(ref, reward, 1.1).exp(), ref.exp())
    torch.testing.assert_close(
        TotalVariation().optimum(ref, reward, 0.9).exp(), torch.tensor([1.0, 0.0]).double()
    )


def test_reverse_kl_optimum_is_the_tilted_reference():
    weights = [q * math.exp(r / 0.7) for q, r in zip(REF.tolist(), REWARD.tolist(), strict=True)]
    expected = torch.tensor([w / sum(weights) for w in weights], dtype=torch.float64)
    torch.testing.assert_close(
        ReverseKL().optimum(REF.log(), REWARD, 0.7).exp(), expected, rtol=1e-12, atol=0
    )


def test_responses_without_reference_mass_get_none():
    ref = torch.tensor([0.5, 0.5, 0.0], dtype=torch.float64)
    reward = torch.tensor([0.0, 1.0, 9.0], dtype=torch.float64)
    for divergence, _ in BY_DEFINITION:
        pi = divergence.optimum(ref.log(), reward, 1.0).exp()
        two = divergence.optimum(ref[:2].log(), reward[:2], 1.0).exp()
        torch.testing.assert_close(pi, torch.cat([two, torch.zeros(1).double()]))
        assert divergence.exact(pi.log(), ref.log()) == divergence.exact(two.log(), ref[:2].log())


def test_alpha_one_half_is_twice_hellinger():
    log_u = torch.linspace(-8, 8, 50, dtype=torch.float64)
    torch.testing.assert_close(Alpha(0.5).link(log_u), 2 * Hellinger().link(log_u))
    torch.testing.assert_close(Alpha(0.5).value(log_u), 2 * Hellinger().value(log_u))
    halved = Alpha(0.5).optimum(REF.log(), REWARD, 0.2)
    torch.testing.assert_close(Hellinger().optimum(REF.log(), REWARD, 0.4), halved, rtol=0, atol=1e-9)


@pytest.mark.parametrize(("alpha", "limit"), [(1e-7, ReverseKL()), (1 - 1e-7, ForwardKL())])
def test_alpha_limits(alpha: float, limit: Any) -> None:
    log_u = torch.linspace(-3, 3, 31, dtype=torch.float64)
    torch.testing.assert_close(Alpha(alpha).link(log_u), limit.link(log_u), rtol=0, atol=1e-5)
    torch.testing.assert_close(Alpha(alpha).value(log_u), limit.value(log_u), rtol=0, atol=1e-5)


def test_alpha_and_1_minus_alpha_swap_policy_and_reference():
    forth, back = Alpha(0.2).exact(PI.log(), REF.log()), Alpha(0.8).exact(REF.log(), PI.log())
    torch.testing.assert_close(forth, back)


def test_stiffness_at_the_reference():
    """f''(1): 1 for both KLs and alpha, 1/2 for js and hellinger, 2 for chi2, jeffreys and chi2_kl."""
    expected = {1.0: (ReverseKL(), ForwardKL(), Alpha(0.3)), 0.5: (JensenShannon(), Hellinger())}
    expected[2.0] = (Chi2(), Jeffreys(), Chi2KL())
    step = torch.tensor(1e-6, dtype=torch.float64)
    for stiffness, divergences in expected.items():
        for divergence in divergences:
            slope = (divergence.link(step) - divergence.link(-step)) / (2 * step)
            assert slope.item() == pytest.approx(stiffness, rel=1e-6)


def test_links_by_hand():
    three = torch.tensor(math.log(3.0), dtype=torch.float64)  # u = 3
    by_hand = [
        (ReverseKL(), math.log(3)),
        (ForwardKL(), 1 - 1 / 3),
        (JensenShannon(), math.log(2 * 3 / 4)),
        (Alpha(0.5), 2 * (1 - 3**-0.5)),
        (Hellinger(), 1 - 3**-0.5),
        (Jeffreys(), math.log(3) + 1 - 1 / 3),
        (Chi2(), 4.0),
        (Chi2KL(), 2 + math.log(3)),
        (TotalVariation(), 0.5),
        (NoDivergence(), math.log(3)),
    ]
    for divergence, expected in by_hand:
        assert divergence.link(three).item() == pytest.approx(expected, rel=1e-12), divergence


def test_expm1_continues_with_its_tangent():
    below, above = EXPONENT_LIMIT - 1e-4, EXPONENT_LIMIT + 1e-4
    x = torch.tensor([below, above, 200.0], dtype=torch.float64, requires_grad=True)
    values = expm1(x)
    (slope,) = torch.autograd.grad(values.sum(), x)
    assert values[0].item() == pytest.approx(math.expm1(below), rel=1e-12)
    assert values[1].item() == pytest.approx(math.expm1(above), rel=1e-7)
    assert slope[2].item() == pytest.approx(math.exp(EXPONENT_LIMIT), rel=1e-12)  # neither 0 nor infinite
    assert beyond_limit(torch.tensor([-41.0, 0.0, 39.0, 41.0])).tolist() == [True, False, False, True]


def test_wright_omega_solves_its_equation():
    z = torch.cat([torch.linspace(-50, 5, 56), torch.tensor([20.0, 300.0])]).double()
    v = log_wright_omega(z)
    torch.testing.assert_close(v.exp() + v, z, rtol=1e-14, atol=1e-14)


@pytest.mark.parametrize("alpha", [0.0, 1.0, -0.1, 1.5, math.nan])
def test_alpha_range(alpha: float) -> None:
    with pytest.raises(ValueError, match="alpha must be above 0 and below 1"):
        Alpha(alpha)


def test_what_has_no_answer_is_refused():
    with pytest.raises(ValueError, match="no optimum"):
        NoDivergence().optimum(REF.log(), REWARD, 1.0)
    with pytest.raises(ValueError, match="no inverse"):
        TotalVariation().inverse(REWARD)
