"""Q and V of tokens against loops over an ordinary forward pass; the slow copies; what learns from what."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import Tensor

from xpo.critic.q_and_v import QAndV, TokenValues
from xpo.scoring.score import Scoring, response_edges
from xpo.scoring.support import Support


def opinionated(critic: TokenValues) -> TokenValues:
    """Heads that are not 0 any more, the slow ones other than the quick."""
    draw = torch.Generator().manual_seed(5)
    with torch.no_grad():
        for weight in [*critic.parameters(), *critic.buffers()]:
            weight.add_(0.5 * torch.randn(weight.shape, generator=draw))
    return critic


def said(critic: TokenValues, model: Any, batch: Any, scoring: Scoring | None = None) -> dict[str, Tensor]:
    scoring = scoring or Scoring()
    states = scoring.distributions(model, batch, response_edges(batch.packed))
    return critic(batch, states, scoring)


def mlp(weights: dict[str, Tensor], name: str, state: list[float]) -> list[float]:
    """D -> 2 D -> out in plain numbers."""
    w, c = weights[f"{name}.inner.weight"].tolist(), weights[f"{name}.inner.bias"].tolist()
    hidden = [
        max(0.0, sum(a * x for a, x in zip(row, state, strict=True)) + b) for row, b in zip(w, c, strict=True)
    ]
    w, c = weights[f"{name}.outer.weight"].tolist(), weights[f"{name}.outer.bias"].tolist()
    return [sum(a * x for a, x in zip(row, hidden, strict=True)) + b for row, b in zip(w, c, strict=True)]


@pytest.mark.parametrize("allowed", [None, [2, 3, 7, 8, 9, 10, 11, 12, 13, 14]])
def test_loop_oracle(allowed: Any, model: Any, rows: Any, batch_of: Any, states_of: Any):
    critic, batch = opinionated(QAndV().build(model, 0)), batch_of(rows)
    support = None
    if allowed is not None:
        table = torch.zeros(1, 15, dtype=torch.bool)
        table[0, allowed] = True
        support = Support(table)
    found = said(critic, model, batch, Scoring(support=support))
    assert found.keys() == QAndV.gives
    weights = critic.state_dict()
    for b, row in enumerate(rows):
        for k, response in enumerate(row.responses):
            states = states_of(model, [*row.prompt, *response])
            for t, token in enumerate(response):
                state = states[len(row.prompt) - 1 + t].tolist()
                q = [mlp(weights, f"quick.{i}", state) for i in (0, 1)]
                slow = [mlp(weights, f"advantage.slow.{i}", state)[token] for i in (0, 1)]
                norm = [
                    math.log(sum(math.exp(v) for j, v in enumerate(x) if allowed is None or j in allowed))
                    for x in q
                ]
                expected = {
                    "value": mlp(weights, "advantage.v", state)[0],
                    "q1": q[0][token],
                    "q2": q[1][token],
                    "q1_logp": q[0][token] - norm[0],
                    "q2_logp": q[1][token] - norm[1],
                    "slow_q": min(slow),
                }
                for name, number in expected.items():
                    assert found[f"{name}_BKT"][b, k, t].item() == pytest.approx(number, abs=2e-4), name
    for value in found.values():
        assert not bool(value[~batch.mask_BKT].any())


def test_chunks_change_nothing(model: Any, rows: Any, batch_of: Any):
    critic, batch = opinionated(QAndV().build(model, 0)), batch_of(rows)
    seen = []
    for chunk in (2**25, 15, 45):
        model.zero_grad()
        critic.zero_grad()
        found = said(critic, model, batch, Scoring(chunk=chunk))
        sum(value.sum() * (i + 1) for i, value in enumerate(found.values())).backward()  # pyright: ignore
        learnt = (*critic.parameters(), model.get_input_embeddings().weight)
        seen.append([*found.values(), *(p.grad.clone() for p in learnt if p.grad is not None)])
    for other in seen[1:]:
        for one, two in zip(seen[0], other, strict=True):
            torch.testing.assert_close(one, two, rtol=1e-5, atol=1e-5)


def test_heads_begin_at_0_and_apart(model: Any, rows: Any, batch_of: Any):
    before = torch.get_rng_state()
    critic = QAndV().build(model, 4)
    assert torch.equal(torch.get_rng_state(), before)
    found = said(critic, model, batch_of(rows))
    for name in ("value_BKT", "q1_BKT", "q2_BKT", "slow_q_BKT"):
        assert not bool(found[name].any())
    first, second = (critic.get_parameter(f"quick.{i}.inner.weight") for i in (0, 1))
    assert not torch.equal(first, second), "two heads that begin alike stay alike"
    for i in (0, 1):
        slow = critic.get_buffer(f"advantage.slow.{i}.inner.weight")
        assert torch.equal(slow, critic.get_parameter(f"quick.{i}.inner.weight"))
    same, other = QAndV().build(model, 4), QAndV().build(model, 5)
    assert torch.equal(same.get_parameter("quick.0.inner.weight"), first)
    assert not torch.equal(other.get_parameter("quick.0.inner.weight"), first)


def test_slow_heads_come_closer_by_polyak_every_so_often(model: Any):
    critic = QAndV(polyak=0.25, every=3).build(model, 0)
    with torch.no_grad():
        for i in (0, 1):
            critic.get_parameter(f"quick.{i}.outer.bias").fill_(8.0)
    seen = []
    for step in range(1, 7):
        critic.follow(step)
        seen.append(critic.get_buffer("advantage.slow.1.outer.bias")[3].item())
    assert seen == [0.0, 0.0, 2.0, 2.0, 2.0, 3.5]  # 2 + (8 - 2) / 4
    assert critic.get_parameter("quick.1.outer.bias")[3].item() == 8.0


def test_slow_heads_are_saved_and_never_trained(model: Any, rows: Any, batch_of: Any):
    critic = opinionated(QAndV().build(model, 0))
    assert not any("slow" in name for name, _ in critic.named_parameters())
    assert {"advantage.slow.0.inner.weight", "advantage.slow.1.outer.bias"} <= set(critic.state_dict())
    found = said(critic, model, batch_of(rows))
    assert not found["slow_q_BKT"].requires_grad
    sum(value.sum() for value in found.values()).backward()  # pyright: ignore
    assert all(p.grad is not None and bool(p.grad.any()) for p in critic.parameters())
    assert model.get_input_embeddings().weight.grad is not None


def test_half_precision_hidden_states_meet_float32_heads(model: Any, rows: Any, batch_of: Any):
    found = said(opinionated(QAndV().build(model.bfloat16(), 0)), model, batch_of(rows))
    assert {value.dtype for value in found.values()} == {torch.float32}
    with torch.autocast("cpu", torch.bfloat16):
        found = said(opinionated(QAndV().build(model.float(), 0)), model, batch_of(rows))
    assert {value.dtype for value in found.values()} == {torch.float32}


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"polyak": 0.0}, "polyak must be above 0"),
        ({"polyak": 1.5}, "polyak must be above 0"),
        ({"every": 0}, "every must be at least 1"),
        ({"beta": -1.0}, "beta must be at least 0"),
        ({"top_k": 0}, "top_k must be null or at least 1"),
        ({"lr_scale": 0.0}, "lr_scale must be above 0"),
    ],
)
def test_ranges(fields: dict[str, Any], words: str):
    with pytest.raises(ValueError, match=words):
        QAndV(**fields)
