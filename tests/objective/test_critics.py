"""Objectives that read a critic: loops, first values, where every gradient goes."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import pytest
import torch
from torch import Tensor

from xpo.contracts import Context
from xpo.objective.implicit_q import ImplicitQ
from xpo.objective.value_regression import ValueRegression
from xpo.testing import Toy, failures, toy

TAU = 0.4
SETTINGS = (ImplicitQ(), ImplicitQ(0.9, 0.8, 0.3, 0.6, 0.7))


def context(objective: Any, t: Toy, values: Mapping[str, Tensor] | None = None) -> Context:
    given = {name: t.value(name) for name in objective.critic} if values is None else dict(values)
    return Context(0.0, t.logp_BKT, beta=TAU, value=given)


def loss(objective: Any, t: Toy, values: Mapping[str, Tensor] | None = None) -> Tensor:
    return objective(t.reward_BK, t.batch, context(objective, t, values))


def shares(t: Toy, b: int) -> list[float]:
    if t.batch.mass_BK is not None:
        return t.batch.mass_BK[b].tolist()
    there = t.batch.present_BK[b].tolist()
    return [float(present) / sum(there) for present in there]


def score(t: Toy, b: int, k: int) -> float:
    assert t.batch.score_BK is not None
    return t.batch.score_BK[b, k].item()


def regression(t: Toy, b: int) -> float:
    """DRO equation 7, one row."""
    value = t.value("prompt_value_B")[b].item()
    return sum(
        share * 0.5 * (score(t, b, k) - value - t.reward_BK[b, k].item()) ** 2 / TAU
        for k, share in enumerate(shares(t, b))
    )


def values_at(t: Toy, b: int, k: int) -> list[dict[str, float]]:
    """What the critic says at each token that is there."""
    tokens = t.batch.mask_BKT[b, k].nonzero().flatten().tolist()
    names = sorted(ImplicitQ.critic)
    return [{name[:-4]: t.value(name)[b, k, at].item() for name in names} for at in tokens]


def implicit_q(o: ImplicitQ, t: Toy, b: int) -> float:
    """ILQL's four losses, one row, token by token."""
    total = 0.0
    for k, share in enumerate(shares(t, b)):
        said = values_at(t, b, k)
        logps = t.logp_BKT[b, k][t.batch.mask_BKT[b, k]].tolist()
        for at, (now, logp) in enumerate(zip(said, logps, strict=True)):
            done = at == len(said) - 1
            target = score(t, b, k) if done else o.gamma * said[at + 1]["value"]
            u = now["slow_q"] - now["value"]
            q = (now["q1"] - target) ** 2 + (now["q2"] - target) ** 2
            v = abs(o.expectile - (1.0 if u < 0 else 0.0)) * u * u
            cql = -now["q1_logp"] - now["q2_logp"]
            awac = -math.exp(o.advantage_scale * u) * logp
            total += share * (q + v + o.cql_weight * cql + o.awac_weight * awac)
    return total


Oracle = Callable[[Toy, int], float]
ORACLES: Sequence[tuple[Any, Oracle]] = [
    (ValueRegression(), regression),
    *((o, lambda t, b, o=o: implicit_q(o, t, b)) for o in SETTINGS),
]


@pytest.mark.parametrize(("objective", "oracle"), ORACLES, ids=lambda v: repr(v) if not callable(v) else None)
@pytest.mark.parametrize("responses", [1, 2, 4])
@pytest.mark.parametrize("masses", [True, False])
def test_loop_oracle(objective: Any, oracle: Oracle, responses: int, masses: bool) -> None:
    t = toy(rows=3, responses=responses, seed=responses)
    t = t if masses else t.replace(mass_BK=None)
    by_loop = torch.tensor([oracle(t, b) for b in range(3)], dtype=torch.float64)
    torch.testing.assert_close(loss(objective, t), by_loop, rtol=1e-6 if not masses else 1e-10, atol=1e-12)


@pytest.mark.parametrize("objective", [ValueRegression(), *SETTINGS], ids=repr)
def test_kit_with_these_fields(objective: Any) -> None:
    assert failures(objective, "objective") == []


def single(reward: float = 0.0, scored: float = 1.7) -> Toy:
    t = toy(rows=1, responses=1, tokens=3, ragged=False)
    t = t.replace(mass_BK=None, score_BK=torch.tensor([[scored]], dtype=torch.float64))
    return dataclasses.replace(t, reward_BK=torch.tensor([[reward]], dtype=torch.float64))


def numbers(**values: Sequence[float]) -> dict[str, Tensor]:
    return {
        f"{k}_BKT": torch.tensor([[v]], dtype=torch.float64, requires_grad=True) for k, v in values.items()
    }


# --- scores = value of the prompt + reward -------------------------------------------------------------


def test_regression_at_the_reference_is_half_the_squared_advantage() -> None:
    objective, t = ValueRegression(), single(scored=1.7)
    for tau in (1.0, 0.25):
        value = {"prompt_value_B": torch.tensor([0.5], dtype=torch.float64)}
        found = objective(t.reward_BK, t.batch, Context(beta=tau, value=value))
        assert found.item() == pytest.approx(0.72 / tau)  # (1.7 - 0.5)^2 / 2


def test_gradients_of_regression_by_hand() -> None:
    """r - V - tau rho = 1.7 - 0.5 - 0.2 = 1; the policy's is divided by tau, V's is not."""
    t = single(reward=0.2)
    reward, value = t.reward_BK.clone().requires_grad_(), torch.tensor([0.5]).double().requires_grad_()
    given = Context(beta=TAU, value={"prompt_value_B": value})
    ValueRegression()(reward, t.batch, given).sum().backward()
    assert reward.grad is not None and value.grad is not None
    assert reward.grad.item() == pytest.approx(-2.5) and value.grad.item() == pytest.approx(-1.0)


def test_both_gradients_vanish_together_where_scores_are_explained() -> None:
    t = single(reward=1.2)
    reward, value = t.reward_BK.clone().requires_grad_(), torch.tensor([0.5]).double().requires_grad_()
    found = ValueRegression()(reward, t.batch, Context(beta=TAU, value={"prompt_value_B": value}))
    found.sum().backward()
    assert found.item() == pytest.approx(0.0, abs=1e-12)
    assert abs(reward.grad.item()) < 1e-12 and abs(value.grad.item()) < 1e-12  # pyright: ignore


# --- Q and V -------------------------------------------------------------------------------------------


def test_implicit_q_by_hand() -> None:
    """Two tokens, score 2, gamma 0.5, V = (0.4, 0.6), Q1 = (1, 1), Q2 = (0, 3), slow Q = (1.4, 0.1)."""
    t = single(scored=2.0)
    t = t.replace(mask_BKT=torch.tensor([[[True, True, False]]]))
    t = dataclasses.replace(t, logp_BKT=torch.tensor([[[-0.7, -1.3, -9.0]]], dtype=torch.float64))
    said = numbers(
        value=[0.4, 0.6, 9.0],
        q1=[1.0, 1.0, 9.0],
        q2=[0.0, 3.0, 9.0],
        q1_logp=[-1.0, -2.0, 9.0],
        q2_logp=[-0.5, -0.25, 9.0],
        slow_q=[1.4, 0.1, 9.0],
    )
    # targets 0.5 * 0.6 = 0.3 and 2; u = 1 and -0.5
    q = 0.49 + 0.09 + 1.0 + 1.0
    v = 0.7 * 1.0 + 0.3 * 0.25
    objective = ImplicitQ(0.7, 0.5, 0.1, 1.0, 0.0)
    assert loss(objective, t, said).item() == pytest.approx(q + v + 0.1 * 3.75 + 2.0)
    loss(objective, t, said).sum().backward()
    grads = {name: value.grad[0, 0].tolist() for name, value in said.items() if value.grad is not None}  # pyright: ignore
    # V learns from the expectile alone: -2 * 0.7 * 1 and -2 * 0.3 * -0.5, nothing from being a target
    assert grads.pop("value_BKT") == pytest.approx([-1.4, 0.3, 0.0])
    assert grads.pop("q1_BKT") == pytest.approx([1.4, -2.0, 0.0])
    assert grads.pop("q2_BKT") == pytest.approx([-0.6, 2.0, 0.0])
    assert grads.pop("q1_logp_BKT") == grads.pop("q2_logp_BKT") == pytest.approx([-0.1, -0.1, 0.0])
    assert not grads, "the slow heads learn from nothing"


def test_imitation_is_weighed_by_the_advantage_without_its_gradient() -> None:
    objective, t = ImplicitQ(advantage_scale=2.0), single()
    said = numbers(
        value=[0.0, 0.5, 1.0],
        slow_q=[1.0, 0.5, 0.0],
        q1=[0.0] * 3,
        q2=[0.0] * 3,
        q1_logp=[0.0] * 3,
        q2_logp=[0.0] * 3,
    )
    logp = t.logp_BKT.clone().requires_grad_()
    objective(t.reward_BK, t.batch, Context(0.0, logp, value=said)).sum().backward()
    assert logp.grad is not None
    assert logp.grad[0, 0].tolist() == pytest.approx([-math.exp(2.0), -1.0, -math.exp(-2.0)])
    expectile = [-2 * 0.7 * 1.0, 0.0, -2 * 0.3 * -1.0]
    assert said["value_BKT"].grad is not None
    assert said["value_BKT"].grad[0, 0].tolist() == pytest.approx(expectile)


def test_half_an_expectile_is_half_the_square() -> None:
    t = toy()
    plain = ImplicitQ(expectile=0.5).parts(t.batch, context(ImplicitQ(), t))["v"]
    above = t.value("slow_q_BKT") - t.value("value_BKT")
    mask = t.batch.mask_BKT
    torch.testing.assert_close(plain[mask], (above.square() / 2)[mask])


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"expectile": 1.0}, "expectile must be above 0 and below 1"),
        ({"gamma": 0.0}, "gamma must be above 0"),
        ({"gamma": 1.1}, "gamma must be above 0"),
        ({"cql_weight": -0.1}, "cql_weight must be at least 0"),
        ({"awac_weight": math.inf}, "awac_weight must be at least 0"),
        ({"advantage_scale": math.nan}, "advantage_scale must be at least 0"),
    ],
)
def test_ranges(fields: dict[str, float], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        ImplicitQ(**fields)
