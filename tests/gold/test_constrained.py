"""The constrained optimum against direct optimisation, and what a policy gradient with costs comes to."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

import pytest
import torch
from torch import Tensor

from xpo.constraint.lagrange import Lagrange
from xpo.gold.constrained import OPTIMA, Constrained, Problem, exact_optimum, paper_optimum
from xpo.gold.target import expectation, kl
from xpo.gold.world import World

DEFAULT = World()
BETA = 0.3
LIMITS = (0.3, 0.0, -0.12, -0.42)
Form = Literal["paper", "exact"]
FORMS: tuple[Form, ...] = ("paper", "exact")


def problem(limit: float, world: World = DEFAULT, beta: float = BETA) -> Problem:
    return Problem(world.base_logp_XN, world.reward_XN, world.cost_XN, beta, limit)


def directly(given: Problem) -> tuple[float, Tensor]:
    """Augmented Lagrangian over logits (Hestenes 1969), each round by L-BFGS: the multiplier, and log pi."""
    logits_XN = given.ref_logp_XN.clone().requires_grad_()
    multiplier, rho = 0.0, 10.0

    def above(logp_XN: Tensor) -> Tensor:
        return (logp_XN.exp() * given.cost_XN).sum(1).mean() - given.limit

    for _ in range(30):
        search = torch.optim.LBFGS(
            [logits_XN],
            max_iter=200,
            line_search_fn="strong_wolfe",
            tolerance_grad=1e-12,
            tolerance_change=1e-16,
        )

        def closure(multiplier: float = multiplier, search: torch.optim.LBFGS = search) -> Tensor:
            search.zero_grad()
            logp_XN = torch.log_softmax(logits_XN, 1)
            gain_XN = given.reward_XN - given.beta * (logp_XN - given.ref_logp_XN)
            pressed = (multiplier + rho * above(logp_XN)).clamp(min=0)
            loss = (pressed**2 - multiplier**2) / (2 * rho) - (logp_XN.exp() * gain_XN).sum(1).mean()
            loss.backward()
            return loss

        search.step(closure)  # type: ignore[arg-type]
        with torch.no_grad():
            before, multiplier = (
                multiplier,
                max(0.0, multiplier + rho * float(above(torch.log_softmax(logits_XN, 1)))),
            )
        if abs(multiplier - before) < 1e-8:
            break
    return multiplier, torch.log_softmax(logits_XN.detach(), 1)


@pytest.mark.parametrize("limit", [0.5, 0.0, -0.2])
def test_against_direct_optimisation(limit: float) -> None:
    world = World(prompts=2, symbols=3, max_symbols=2, seed=1)
    given = problem(limit, world)
    multiplier, logp_XN = directly(given)
    found = exact_optimum(given)
    assert found.multiplier == pytest.approx(multiplier, abs=1e-4)
    assert torch.allclose(found.logp_XN.exp(), logp_XN.exp(), atol=1e-5)
    assert found.reward == pytest.approx(expectation(logp_XN, world.reward_XN), abs=1e-5)


@pytest.mark.parametrize("form", FORMS)
def test_a_limit_that_does_not_bind_costs_nothing(form: Form) -> None:
    free_XN = torch.log_softmax(DEFAULT.base_logp_XN + DEFAULT.reward_XN / BETA, 1)
    cost = expectation(free_XN, DEFAULT.cost_XN)
    for limit in (cost + 1e-9, 2.0):
        found = OPTIMA[form](problem(limit))
        assert found.multiplier == 0.0 and torch.allclose(found.logp_XN, free_XN)
    assert OPTIMA[form](problem(cost - 1e-3)).multiplier > 0


@pytest.mark.parametrize("form", FORMS)
def test_a_limit_that_binds_is_met_and_the_tighter_the_dearer(form: Form) -> None:
    found = [OPTIMA[form](problem(limit)) for limit in LIMITS]
    assert [one.cost for one in found] == pytest.approx(LIMITS, abs=1e-9)
    assert all(
        a.reward > b.reward and a.multiplier < b.multiplier for a, b in zip(found, found[1:], strict=False)
    )
    for one in found:
        assert one.reward == pytest.approx(expectation(one.logp_XN, DEFAULT.reward_XN))
        assert torch.allclose(one.logp_XN.exp().sum(1), torch.ones(8, dtype=torch.float64))


def test_the_multiplier_is_one_number_for_all_prompts() -> None:
    """Prompts end at other costs: only their mean has the limit."""
    found = exact_optimum(problem(0.0))
    cost_X = (found.logp_XN.exp() * DEFAULT.cost_XN).sum(1)
    assert float(cost_X.max() - cost_X.min()) > 0.5

    def alone(x: int) -> Constrained:
        ref, reward, cost = (v[x : x + 1] for v in (DEFAULT.base_logp_XN, DEFAULT.reward_XN, DEFAULT.cost_XN))
        return exact_optimum(Problem(ref, reward, cost, BETA, 0.0))

    assert len({round(one.multiplier, 6) for one in map(alone, range(8))}) > 4


def test_limits_out_of_reach_are_refused() -> None:
    least = float(DEFAULT.cost_XN.min(1).values.mean())
    with pytest.raises(ValueError, match=rf"cost of {least - 0.01:.5f}\d* or less: the least is {least:.5f}"):
        exact_optimum(problem(least - 0.01))
    # the paper's form tends to ref exp(-c / beta)
    limit_XN = torch.log_softmax(DEFAULT.base_logp_XN - DEFAULT.cost_XN / BETA, 1)
    edge = expectation(limit_XN, DEFAULT.cost_XN)
    assert least < edge - 0.1
    with pytest.raises(ValueError, match="no policy of this form"):
        paper_optimum(problem(edge - 1e-4))
    assert paper_optimum(problem(edge + 1e-3)).cost == pytest.approx(edge + 1e-3)
    assert exact_optimum(problem(edge - 1e-4)).cost == pytest.approx(edge - 1e-4)


@pytest.mark.parametrize(
    ("settings", "message"),
    [({"beta": 0.0}, "beta must be above 0"), ({"limit": float("nan")}, "limit must be finite")],
)
def test_ranges(settings: dict[str, float], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        replace(problem(0.0), **settings)


def test_the_forms_differ_as_the_derivation_says() -> None:
    """The paper's is the exact optimum at beta (1 + lambda), so that at beta it closes less of the gap."""
    shares = []
    start = expectation(DEFAULT.base_logp_XN, DEFAULT.reward_XN)
    for limit in LIMITS:
        exact, paper = exact_optimum(problem(limit)), paper_optimum(problem(limit))
        other = exact_optimum(problem(limit, beta=BETA * (1 + paper.multiplier)))
        assert other.multiplier == pytest.approx(paper.multiplier, abs=1e-6)
        assert torch.allclose(other.logp_XN, paper.logp_XN, atol=1e-6)
        shares.append((_value(paper) - start) / (_value(exact) - start))
    assert shares == pytest.approx([0.986, 0.902, 0.843, 0.436], abs=1e-3)  # of the gap, at these limits


def _value(found: Constrained) -> float:
    return found.reward - BETA * kl(found.logp_XN, DEFAULT.base_logp_XN)


def unevenness(constraint: Lagrange, found: Constrained) -> float:
    """How far the mixed advantages of all responses are from level, at this policy and multiplier.

    A policy gradient moves nothing where they are level. Token streams are summed over a response.
    """
    state = replace(constraint, init=max(found.multiplier, 1e-9), most=100.0).start()
    penalty_XN = -BETA * (found.logp_XN - DEFAULT.base_logp_XN)
    rewards_XN, costs_XN = constraint.streams(penalty_XN)
    mixed_XN = constraint.mixed(DEFAULT.reward_XN + rewards_XN, DEFAULT.cost_XN + costs_XN, state)
    return float((mixed_XN.max(1).values - mixed_XN.min(1).values).max())


@pytest.mark.parametrize("limit", [0.3, -0.42])
@pytest.mark.parametrize("form", FORMS)
def test_policy_gradients_rest_at_their_own_optimum_only(form: Form, limit: float) -> None:
    constraint = Lagrange(form=form)
    for other in FORMS:
        off = unevenness(constraint, OPTIMA[other](problem(limit)))
        assert (off < 1e-9) == (other == form), f"{form} at the optimum of {other}: {off}"


@dataclass(frozen=True)
class WrongSign(Lagrange):
    """The penalty lowers costs too."""

    def streams(self, penalty_BKT: Tensor) -> tuple[Tensor, Tensor]:
        return penalty_BKT, penalty_BKT


@dataclass(frozen=True)
class DividesTwice(Lagrange):
    """The penalty is put behind the division as if it had not been in the costs."""

    def streams(self, penalty_BKT: Tensor) -> tuple[Tensor, Tensor]:
        return penalty_BKT / (1 + self.init), torch.zeros_like(penalty_BKT)


@pytest.mark.parametrize("broken", [WrongSign(), DividesTwice(), DividesTwice(form="exact")], ids=repr)
def test_broken_streams_rest_at_neither(broken: Lagrange) -> None:
    for form in FORMS:
        assert unevenness(broken, OPTIMA[form](problem(-0.42))) > 0.1


@pytest.mark.parametrize("limit", [0.3, 0.0])
@pytest.mark.parametrize("form", FORMS)
def test_the_multiplier_comes_to_rest_at_the_oracles(form: Form, limit: float) -> None:
    """Policies that are optimal at each multiplier, and costs of 64 draws for each prompt."""
    constraint, given, expected = (
        Lagrange(limit=limit, form=form, lr=0.2, window=1_024),
        problem(limit),
        OPTIMA[form](problem(limit)),
    )
    generator, state, seen = torch.Generator().manual_seed(0), constraint.start(), []
    for _ in range(400):
        price = float(constraint.multiplier(state))
        logp_XN = given.policy(price, BETA * (1 + price if form == "paper" else 1.0))
        drawn_XM = torch.multinomial(logp_XN.exp(), 64, replacement=True, generator=generator)
        state = constraint.updated(state, DEFAULT.cost_XN.gather(1, drawn_XM).flatten())
        seen.append(price)
    assert sum(seen[-100:]) / 100 == pytest.approx(expected.multiplier, abs=0.02)
    metrics = constraint.metrics(state)
    assert metrics["mean_cost"] == pytest.approx(limit, abs=0.03)
