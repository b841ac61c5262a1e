"""What a divergence must keep to."""

from __future__ import annotations

from typing import Any

import torch

from xpo.testing.tools import differ, gradient, require, same, variants

_REF = torch.tensor([0.4, 0.25, 0.2, 0.1, 0.05], dtype=torch.float64)
_PI = torch.tensor([0.1, 0.3, 0.05, 0.35, 0.2], dtype=torch.float64)
_REWARD = torch.tensor([0.3, -0.8, 1.1, 0.65, -0.2], dtype=torch.float64)
_GRID = torch.linspace(-6, 6, 241, dtype=torch.float64)
_FAR = torch.tensor([-50.0, -40.0, -20.0, 20.0, 40.0, 50.0])


def link_is_0_at_the_reference(divergence: Any) -> None:
    same(divergence.link(torch.zeros(3, dtype=torch.float64)), torch.zeros(3), "link(0) is not 0")


def link_increases(divergence: Any) -> None:
    for values in (divergence.link(_GRID), divergence.link(_FAR.double())):
        require(bool((values.diff() >= 0).all()), "link falls somewhere")
    require(bool(divergence.link(_GRID)[-1] > divergence.link(_GRID)[0]), "link is constant")


def link_is_the_slope_of_the_generator(divergence: Any) -> None:
    if not divergence.regularises:
        return
    log_u = _GRID[_GRID != 0].clone().requires_grad_()
    slope = gradient(divergence.generator(log_u), log_u) / log_u.detach().exp()
    same(slope, divergence.link(log_u.detach()), "link is not df/du - f'(1)", 1e-9)


def link_is_finite_far_out(divergence: Any) -> None:
    for dtype in (torch.float32, torch.bfloat16):
        leaf = _FAR.to(dtype).requires_grad_()
        values = divergence.link(leaf)
        require(bool(torch.isfinite(values).all()), f"link is not finite at |log u| = 50 in {dtype}")
        require(bool(torch.isfinite(gradient(values, leaf)).all()), f"its gradient is not, in {dtype}")


def value_is_finite_far_out(divergence: Any) -> None:
    """And its gradient, as losses have it as a term."""
    leaf = _FAR.clone().requires_grad_()
    values = divergence.value(leaf)
    require(bool(torch.isfinite(values).all()), "value is not finite at |log u| = 50")
    if values.requires_grad:
        require(bool(torch.isfinite(gradient(values, leaf)).all()), "the gradient of value is not finite")


def precisions_agree(divergence: Any) -> None:
    for name in ("link", "value"):
        exact = getattr(divergence, name)(_GRID.float().double())
        same(getattr(divergence, name)(_GRID.float()), exact, f"{name} in float32 differs from float64", 1e-5)


def value_is_not_negative(divergence: Any) -> None:
    values = divergence.value(_GRID)
    require(bool((values >= -1e-12).all()), f"value goes down to {values.min():.3g}")
    same(divergence.value(torch.zeros(1, dtype=torch.float64)), torch.zeros(1), "value(0) is not 0")


def mean_value_is_the_divergence(divergence: Any) -> None:
    mean = (_PI * divergence.value((_PI / _REF).log())).sum()
    exact = divergence.exact(_PI.log(), _REF.log())
    same(mean, exact, "the mean of value over samples of pi is not D_f")
    require(
        (exact > 0) == divergence.regularises, f"regularises={divergence.regularises}, but D_f = {exact:.3g}"
    )


def optimum_beats_others(divergence: Any) -> None:
    """J(pi*) >= J(pi) for random pi and for small steps from pi* towards them."""
    if not divergence.regularises:
        return
    draw = torch.Generator().manual_seed(0)
    for beta in (0.3, 1.0):
        best = divergence.optimum(_REF.log(), _REWARD, beta)
        same(best.exp().sum(), 1.0, "the optimum does not sum to 1")
        top = _objective(divergence, best.exp(), beta)
        for _ in range(50):
            other = torch.rand(5, generator=draw, dtype=torch.float64) ** 3 + 1e-9
            other = other / other.sum()
            for step in (1.0, 0.1, 1e-3):
                moved = (1 - step) * best.exp() + step * other
                require(
                    bool(_objective(divergence, moved, beta) <= top + 1e-9),
                    "another policy beats the optimum",
                )


def optimum_ignores_constants(divergence: Any) -> None:
    if not divergence.regularises:
        return
    one = divergence.optimum(_REF.log(), _REWARD, 0.5).exp()
    same(divergence.optimum(_REF.log(), _REWARD + 7.0, 0.5).exp(), one, "the optimum depends on c(x)", 1e-9)
    order = torch.tensor([3, 0, 4, 1, 2])
    moved = divergence.optimum(_REF[order].log(), _REWARD[order], 0.5).exp()
    same(moved, one[order], "the optimum depends on the order of the responses", 1e-9)


def declares_linear(divergence: Any) -> None:
    link = divergence.link(_GRID)
    straight = torch.allclose(link, _GRID * divergence.link(torch.ones(1, dtype=torch.float64)), atol=1e-9)
    require(straight == divergence.linear, f"linear={divergence.linear}, but the link says otherwise")


def declares_invertible(divergence: Any) -> None:
    """f' strictly increasing, and unbounded below as u -> 0, so that no response is given up."""
    rises = bool((divergence.link(_GRID).diff() > 1e-9 * divergence.link(_GRID)[:-1].abs()).all())
    unbounded = bool(divergence.link(torch.tensor([-1e4], dtype=torch.float64)) < -20)
    require((rises and unbounded) == divergence.invertible, f"invertible={divergence.invertible} is not so")
    require(
        divergence.invertible or bool(divergence.why_not_off_policy), "it does not say why not off-policy"
    )


def reward_is_recovered(divergence: Any) -> None:
    """beta link(log pi*/ref) is the reward up to a constant: what makes f-DPO exact."""
    if not (divergence.regularises and divergence.invertible):
        return
    for beta in (0.3, 1.0):
        log_u = divergence.optimum(_REF.log(), _REWARD, beta) - _REF.log()
        rest = _REWARD - beta * divergence.link(log_u)
        same(
            rest,
            rest.mean().expand(5),
            "beta link(pi*/ref) differs from the reward by more than a constant",
            1e-7,
        )


def every_field_is_read(divergence: Any) -> None:
    for field, other in variants(divergence):
        for name in ("link", "value"):
            pair = [getattr(part, name)(_GRID) for part in (divergence, other)]
            differ(pair[0], pair[1], f"{name} does not depend on {field}")
        for text in (
            divergence.text("x") != other.text("x"),
            divergence.value_text("x") != other.value_text("x"),
        ):
            require(text, f"the formula's text does not show {field}")


def _objective(divergence: Any, pi: torch.Tensor, beta: float) -> torch.Tensor:
    return (pi * _REWARD).sum() - beta * divergence.exact(pi.log(), _REF.log())


CHECKS = (
    link_is_0_at_the_reference,
    link_increases,
    link_is_the_slope_of_the_generator,
    link_is_finite_far_out,
    value_is_finite_far_out,
    precisions_agree,
    value_is_not_negative,
    mean_value_is_the_divergence,
    optimum_beats_others,
    optimum_ignores_constants,
    declares_linear,
    declares_invertible,
    reward_is_recovered,
    every_field_is_read,
)
