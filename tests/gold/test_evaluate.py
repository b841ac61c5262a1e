"""Exact metrics against loops and samples, through the real model and the real scoring pass."""

from __future__ import annotations

import itertools
import math
from typing import Any

import pytest
import torch
from torch import Tensor

from xpo.divergence.chi2 import Chi2
from xpo.divergence.forward_kl import ForwardKL
from xpo.divergence.js import JensenShannon
from xpo.divergence.reverse_kl import ReverseKL
from xpo.gold.evaluate import distances, exact_logp, metrics, world_batch
from xpo.gold.target import Target
from xpo.gold.world import World
from xpo.scoring.score import Scoring


def test_probabilities_of_a_model_sum_to_one(world: World, model: Any, scoring: Scoring) -> None:
    logp = exact_logp(model, scoring, world_batch(world))
    assert logp.dtype == torch.float64
    assert torch.allclose(logp.exp().sum(1), torch.ones(3, dtype=torch.float64), atol=1e-6)


def test_probabilities_are_those_of_the_models_own_forward_pass(
    world: World, model: Any, scoring: Scoring
) -> None:
    """Token by token, one sequence at a time, the support applied by hand."""
    logp = exact_logp(model, scoring, world_batch(world))
    allowed_TV = world.support().allowed_TV
    for x, n in itertools.product(range(world.prompts), range(0, world.size, 5)):
        prompt, response = world.prompt_ids[x], world.response_ids[n]
        with torch.no_grad():
            logits = model(torch.tensor([[*prompt, *response]])).logits[0].double()
        total = 0.0
        for t, token in enumerate(response):
            row = [
                float(v) if ok else -math.inf
                for v, ok in zip(logits[len(prompt) - 1 + t], allowed_TV[t], strict=True)
            ]
            total += row[token] - math.log(sum(math.exp(v) for v in row))
        assert float(logp[x, n]) == pytest.approx(total, abs=1e-5)


def test_mass_outside_the_world_is_an_error(world: World, model: Any) -> None:
    with pytest.raises(ValueError, match="off 1 by"):
        exact_logp(model, Scoring(), world_batch(world))


def test_metrics_by_loops(world: World, ref: Tensor, model: Any, scoring: Scoring) -> None:
    logp = exact_logp(model, scoring, world_batch(world))
    found = metrics(world, logp, ref, {"js": JensenShannon(), "chi2": Chi2(), "forward_kl": ForwardKL()})
    sums: dict[str, float] = dict.fromkeys(
        ("reward", "start", "best", "win_rate", "kl", "entropy", "length", "js", "chi2", "forward_kl"), 0.0
    )
    for x in range(world.prompts):
        p, q = logp[x].exp().tolist(), ref[x].exp().tolist()
        r = world.reward_XN[x].tolist()
        sums["best"] += max(r) / world.prompts
        for i, (a, b) in enumerate(zip(p, q, strict=True)):
            middle = (a + b) / 2
            terms = {
                "reward": a * r[i],
                "start": b * r[i],
                "win_rate": sum(a * q[j] / (1 + math.exp(r[j] - r[i])) for j in range(world.size)),
                "kl": a * math.log(a / b),
                "entropy": -a * math.log(a),
                "length": a * len(world.response_ids[i]),
                "js": a * math.log(a / middle) + b * math.log(b / middle),
                "chi2": (a - b) ** 2 / b,
                "forward_kl": b * math.log(b / a),
            }
            for name, term in terms.items():
                sums[name] += term / world.prompts
    for name in ("reward", "win_rate", "kl", "entropy", "length"):
        assert found[f"gold/{name}"] == pytest.approx(sums[name], rel=1e-9)
    for name in ("js", "chi2", "forward_kl"):
        assert found[f"gold/divergence/{name}"] == pytest.approx(sums[name], rel=1e-9)
    share = (sums["reward"] - sums["start"]) / (sums["best"] - sums["start"])
    assert found["gold/reward_share"] == pytest.approx(share)
    assert "gold/gap_closed" not in found and "gold/divergence" not in found


def test_metrics_by_monte_carlo(world: World, ref: Tensor, model: Any, scoring: Scoring) -> None:
    logp = exact_logp(model, scoring, world_batch(world))
    found = metrics(world, logp, ref, {"reverse_kl": ReverseKL()})
    generator, n = torch.Generator().manual_seed(5), 200_000
    drawn = torch.multinomial(logp.exp(), n, replacement=True, generator=generator)
    rewards = world.reward_XN.gather(1, drawn)
    assert found["gold/reward"] == pytest.approx(float(rewards.mean()), abs=6 / math.sqrt(3 * n))
    values = ReverseKL().value((logp - ref).gather(1, drawn))
    noise = 6 * float(values.std()) / math.sqrt(3 * n)
    assert found["gold/divergence/reverse_kl"] == pytest.approx(float(values.mean()), abs=noise)


def test_gap_closed_is_0_at_the_reference_and_1_at_the_optimum(world: World, ref: Tensor) -> None:
    divergence = JensenShannon()
    optimum = divergence.optimum(ref, world.reward_XN, 0.4)
    target = Target(optimum, world.reward_XN, 0.4, divergence)
    at_start, at_end = metrics(world, ref, ref, {}, target), metrics(world, optimum, ref, {}, target)
    assert at_start["gold/gap_closed"] == pytest.approx(0) and at_start["gold/win_rate"] == pytest.approx(0.5)
    assert at_start["gold/reward_share"] == pytest.approx(0) and at_start["gold/kl"] == pytest.approx(0)
    assert at_end["gold/gap_closed"] == pytest.approx(1) and at_end["gold/kl_to_optimum"] == pytest.approx(0)
    assert at_end["gold/divergence"] > 0
    best_response = torch.full_like(ref, -60.0).scatter(1, world.reward_XN.argmax(1, keepdim=True), 0.0)
    assert metrics(world, best_response, ref, {})["gold/reward_share"] == pytest.approx(1)


def test_a_target_without_a_functional_gives_a_distance_only(world: World, ref: Tensor) -> None:
    found = metrics(world, ref, ref, {}, Target(ref, world.reward_XN, 1.0, None))
    assert found["gold/kl_to_optimum"] == 0.0 and "gold/gap_closed" not in found


def test_each_optimum_is_nearest_to_itself(world: World, ref: Tensor) -> None:
    divergences = {
        "reverse_kl": ReverseKL(),
        "js": JensenShannon(),
        "forward_kl": ForwardKL(),
        "chi2": Chi2(),
    }
    for name in ("reverse_kl", "js", "forward_kl"):
        optimum = divergences[name].optimum(ref, world.reward_XN, 0.5)
        target = Target(optimum, world.reward_XN, 0.5, divergences[name])
        apart = distances(optimum, ref, target, divergences)
        assert min(apart, key=lambda n: apart[n]) == name and "chi2" not in apart
