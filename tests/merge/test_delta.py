"""Deltas of a training, in and out of a model; the penalty on them; what rows demonstrate."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch
from torch import Tensor

from tests.adapter.test_lora import small
from xpo.adapter.lora import Lora
from xpo.adapter.none import NoAdapter
from xpo.contracts import Row
from xpo.errors import UserError
from xpo.merge.delta import Start, add_deltas, put_weights, trained_weights
from xpo.merge.tally import Tally
from xpo.stages.parallel import demonstrated
from xpo.stages.source import Rows

ADAPTERS = [NoAdapter(), Lora(r=2), Lora(r=2, alpha=3.0, init="gaussian"), Lora(r=2, init="pissa")]


def trained(policy: Any) -> Any:
    """Every trainable weight moved, as by a training."""
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for p in policy.parameters():
            if p.requires_grad:
                p += 0.1 * torch.randn(p.shape, generator=generator)
    return policy


def whole(adapter: Any, policy: Any) -> dict[str, Tensor]:
    """The weights of the plain model that the policy amounts to."""
    plain = adapter.export(policy) if adapter.adapts else policy
    return {name: p.detach().clone() for name, p in plain.named_parameters()}


def plain_name(name: str) -> str:
    return name.removeprefix("base_model.model.").removesuffix(".weight") + ".weight"


@pytest.mark.parametrize("model_type", ["llama", "gpt2"])
@pytest.mark.parametrize("adapter", ADAPTERS, ids=lambda a: f"{type(a).__name__}-{getattr(a, 'init', '')}")
def test_a_delta_is_what_the_whole_weights_have_gained(adapter: Any, model_type: str) -> None:
    policy = adapter.apply(small(model_type), seed=0)
    start, before = Start.of(policy, adapter.parts(policy)), whole(adapter, policy)
    trained(policy)
    after, parts = whole(adapter, policy), adapter.parts(policy)
    deltas = {name: start.delta(name, part) for name, part in parts.items()}
    moved = {name for name in after if not torch.equal(after[name], before[name])}
    if adapter.adapts:
        deltas = {plain_name(name): delta for name, delta in deltas.items()}
    assert moved and moved == {name for name, delta in deltas.items() if bool(delta.any())}
    for name in moved:
        torch.testing.assert_close(deltas[name], after[name] - before[name], atol=1e-6, rtol=1e-5)


@pytest.mark.parametrize("adapter", ADAPTERS, ids=lambda a: f"{type(a).__name__}-{getattr(a, 'init', '')}")
def test_the_start_and_a_delta_make_the_trained_model(adapter: Any) -> None:
    policy = adapter.apply(small(), seed=0)
    start, before = Start.of(policy, adapter.parts(policy)), whole(adapter, policy)
    trained(policy)
    after = whole(adapter, policy)
    deltas = {name: start.delta(name, part) for name, part in adapter.parts(policy).items()}
    other = copy.deepcopy(policy)
    put_weights(policy, start.trained)
    assert all(torch.equal(found, before[name]) for name, found in whole(adapter, policy).items())
    add_deltas(adapter.parts(policy), deltas)
    for name, found in whole(adapter, policy).items():
        torch.testing.assert_close(found, after[name], atol=1e-6, rtol=1e-5)
    for name, weight in trained_weights(other).items():  # the copy stands on its own
        assert not bool((weight == start.trained[name]).all())


def test_a_low_rank_value_by_hand() -> None:
    policy = Lora(r=2, alpha=3.0).apply(small(), seed=0)
    part = next(p for name, p in Lora(r=2).parts(policy).items() if name.endswith("down_proj"))
    layer = next(m for name, m in policy.named_modules() if name.endswith("down_proj"))
    with torch.no_grad():
        layer.lora_B["default"].weight.fill_(0.5)
        layer.lora_A["default"].weight.fill_(2.0)
    assert bool((part.value() == 3.0 / 2 * 2 * 0.5 * 2.0).all())  # alpha / r times r products of 0.5 and 2
    assert part.weight.shape == part.value().shape


def test_what_two_deltas_look_like() -> None:
    tally = Tally(0.5)
    tally.add(torch.tensor([3.0, 0.4]), torch.tensor([0.0, 1.0]))
    tally.add(torch.tensor([[0.0], [-4.0]]), torch.tensor([[0.0], [2.0]]))
    found = tally.metrics()
    assert found["sft_density"] == 2 / 4 and found["align_density"] == 2 / 4
    assert found["sft_norm"] == pytest.approx((9 + 0.16 + 16) ** 0.5)
    assert found["align_norm"] == pytest.approx(5**0.5)
    assert found["cosine"] == pytest.approx((0.4 - 8) / (25.16 * 5) ** 0.5, rel=1e-6)
    still = Tally(0.0)
    still.add(torch.zeros(3), torch.ones(3))
    assert still.metrics() == {"sft_density": 0, "sft_norm": 0, "align_density": 1, "align_norm": 3**0.5}


def test_what_rows_demonstrate() -> None:
    rows = [
        Row([1], [[2, 9], [3], [4]], prefer=[[0.0] * 3] * 3, demo=[0.25, 0.0, 0.75], skip=1, weight=2.0),
        Row([1], [[5]], bad=[1.0], good=[0.0], demo=[0.0]),
        Row([1], [[6], [7]], prefer=[[0.0, 1.0], [0.0, 0.0]]),
    ]
    found = demonstrated(Rows(rows, rows, population=True))
    assert found.train == [Row([1], [[2, 9], [4]], demo=[0.25, 0.75], skip=1, weight=2.0)]
    assert found.population and not found.test
    with pytest.raises(UserError, match=r"no row of train demonstrates.*data.demonstrations"):
        demonstrated(Rows(rows[1:]))
