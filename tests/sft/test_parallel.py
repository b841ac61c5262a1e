"""The option itself, and its penalty."""

from __future__ import annotations

import dataclasses
from functools import partial
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from tests.adapter.test_lora import small
from xpo.adapter.lora import Lora
from xpo.adapter.none import NoAdapter
from xpo.compose import ConfigError, Refused, build, compose_config
from xpo.compose.compat import check
from xpo.merge.delta import Start
from xpo.module.off_policy import OffPolicyModule
from xpo.module.sparse import SparseModule
from xpo.optimizer.adamw import AdamW
from xpo.reference.none import NoReference
from xpo.scoring.score import Scoring
from xpo.sft.parallel import Parallel
from xpo.sft.separate import Separate
from xpo.stages.sft import likelihood_arrow
from xpo.testing import failures


def test_it_keeps_to_the_kit() -> None:
    assert failures(Parallel(), "sft") == []


@pytest.mark.parametrize(
    ("merge", "settings"),
    [
        ("linear", {"sft_weight": 1.0, "align_weight": 1.0}),
        ("task_arithmetic", {"sft_weight": 1.0, "align_weight": 1.0}),
        ("ties", {"sft_weight": 1.0, "align_weight": 1.0, "density": 0.5}),
        ("dare_ties", {"sft_weight": 1.0, "align_weight": 1.0, "density": 0.5}),
        ("slerp", {"t": 0.5}),
    ],
)
def test_what_a_merge_reads_where_nothing_is_said(merge: Any, settings: dict[str, float]) -> None:
    assert Parallel(merge=merge).settings == settings


def test_given_settings_reach_the_merge() -> None:
    assert Parallel(merge="slerp", t=0.0).settings == {"t": 0.0}
    found = Parallel(merge="ties", density=0.2, sft_weight=0.0).settings
    assert found == {"density": 0.2, "sft_weight": 0.0, "align_weight": 1.0}


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"merge": "linear", "density": 0.5}, "density must be null: merge=linear reads align_weight, sft_w"),
        ({"merge": "ties", "t": 0.5}, "t must be null: merge=ties reads"),
        ({"merge": "slerp", "sft_weight": 1.0}, "sft_weight must be null: merge=slerp reads t"),
        ({"density": 0.0}, "density must be above 0 and at most 1, got 0.0"),
        ({"density": 1.5}, "density must be above 0"),
        ({"merge": "slerp", "t": -0.1}, "t must be from 0 to 1, got -0.1"),
        ({"sft_weight": -1.0}, "sft_weight must be at least 0"),
        ({"merge": "linear", "align_weight": float("nan")}, "align_weight must be at least 0"),
        ({"sft_weight": 0.0, "align_weight": 0.0}, "must not both be 0"),
        ({"l1": -1.0}, "l1 must be at least 0 and finite"),
        ({"threshold": float("inf")}, "threshold must be at least 0 and finite"),
        ({"lr": 0.0}, "lr must be above 0"),
    ],
)
def test_what_means_nothing_is_refused(fields: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Parallel(**fields)


def test_the_command_line_hears_of_it_before_anything_is_loaded() -> None:
    with pytest.raises(ConfigError, match="sft=parallel: t must be null: merge=ties reads"):
        build(compose_config(["algo=paft", "sft.t=0.5"]))
    with pytest.raises(Refused, match="merges the weights that two adapters make") as refused:
        build(compose_config(["algo=paft", "adapter=lora", "adapter.merge=false"]))
    assert refused.value.nearest == ("adapter.merge=true",)
    build(compose_config(["algo=paft", "adapter=lora"]))
    with pytest.raises(Refused, match="train it twice"):
        build(compose_config(["algo=sft", "sft=parallel"]))


@pytest.mark.parametrize("preset", ["dpo", "ipo", "orpo", "simpo", "kto", "f_dpo", "tr_dpo", "pro"])
def test_it_goes_with_any_method_that_has_demonstrations(preset: str) -> None:
    for data in (["data.mode=sampled"], ["data=jsonl", "data.path=unread.jsonl"]):
        composition = build(compose_config([f"algo={preset}", "sft=parallel", *data]))
        assert composition.sft.parallel and composition.sft.needs == {"demonstrations"}


def test_rows_without_demonstrations_are_refused() -> None:
    composition = build(compose_config(["algo=dpo", "sft=parallel"]))
    feedback = composition.feedback
    blind = SimpleNamespace(
        gives=feedback.gives - {"demonstrations"}, contrasts=False, in_expectation=feedback.in_expectation
    )
    with pytest.raises(Refused, match="needs demonstrations"):
        check(dataclasses.replace(composition, feedback=blind))


def test_its_base_is_the_model_of_a_separate_stage() -> None:
    """The same recipe, so the same cached weights."""
    assert Parallel(lr=0.5, epochs=2.0, steps=3, batch_size=4, l1=1.0).recipe == Separate(0.5, 2.0, 3, 4)
    assert type(Parallel().recipe) is Separate and Separate(0.5).recipe == Separate(0.5)


def sparse(policy: Any, adapter: Any, start: Start) -> SparseModule:
    values = {name: part.value for name, part in adapter.parts(policy).items()}
    make = partial(SparseModule, values=values, start=start.values, weight=0.5)
    reference = NoReference().prepare(policy, Scoring(), None)
    return make(policy, likelihood_arrow(), Scoring(), reference, AdamW(), 1)


@pytest.mark.parametrize(
    "adapter", [NoAdapter(), Lora(r=2), Lora(r=2, init="pissa")], ids=["full", "lora", "pissa"]
)
def test_the_penalty_and_its_gradient(adapter: Any) -> None:
    """Against the plain sum over a copy, and the gradient's sign rule through the product."""
    policy = adapter.apply(small(), seed=0)
    start = Start.of(policy, adapter.parts(policy))
    module = sparse(policy, adapter, start)
    assert float(module.l1().detach()) == 0.0
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for p in policy.parameters():
            if p.requires_grad:
                p += 0.1 * torch.randn(p.shape, generator=generator)
    parts = adapter.parts(policy)
    expected = sum(float(start.delta(name, part).abs().sum()) for name, part in parts.items())
    found = module.l1()
    assert float(found.detach()) == pytest.approx(expected, rel=1e-5)
    found.backward()
    name, part = next((n, p) for n, p in parts.items() if "q_proj" in n)
    sign = start.delta(name, part).sign()
    if not adapter.adapts:
        assert torch.equal(part.weight.grad, sign)
        return
    layer = next(m for n, m in policy.named_modules() if n.endswith("q_proj"))
    a, b, scale = layer.lora_A["default"].weight, layer.lora_B["default"].weight, adapter.alpha / adapter.r
    torch.testing.assert_close(b.grad, scale * sign @ a.detach().T)
    torch.testing.assert_close(a.grad, scale * b.detach().T @ sign)
    assert part.weight.grad is None


def test_what_the_penalty_is_measured_from_is_no_weight_of_a_checkpoint() -> None:
    policy = NoAdapter().apply(small(), seed=0)
    module = sparse(policy, NoAdapter(), Start.of(policy, NoAdapter().parts(policy)))
    plain = OffPolicyModule(policy, likelihood_arrow(), Scoring(), module.reference, AdamW(), 1)
    assert module.state_dict().keys() == plain.state_dict().keys()
