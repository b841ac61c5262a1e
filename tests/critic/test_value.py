"""V of prompts against an ordinary forward pass, where its gradient goes, and what it shares."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from xpo.adapter.lora import Lora
from xpo.contracts import Row
from xpo.critic.value import PromptValue, Value
from xpo.scoring.score import Scoring, response_edges


def said(critic: PromptValue, model: Any, batch: Any) -> torch.Tensor:
    scoring = Scoring()
    states = scoring.distributions(model, batch, response_edges(batch.packed))
    found = critic(batch, states, scoring)
    assert found.keys() == Value.gives
    return found["prompt_value_B"]


def opinionated(critic: PromptValue) -> PromptValue:
    """A head that is not 0 any more."""
    with torch.no_grad():
        critic.head.weight.copy_(torch.linspace(-1, 1, critic.head.weight.shape[1])[None])
        critic.head.bias.fill_(0.25)
    return critic


@pytest.mark.parametrize("trunk", ["separate", "shared"])
def test_value_reads_the_last_prompt_token(trunk: Any, model: Any, rows: Any, batch_of: Any, states_of: Any):
    critic = Value(trunk).build(model, 0)
    batch = batch_of(rows)
    assert said(critic, model, batch).tolist() == [0.0, 0.0, 0.0]
    found = said(opinionated(critic), model, batch)
    for b, row in enumerate(rows):
        last = states_of(model, list(row.prompt))[-1]
        by_hand = 0.25 + sum(
            (-1 + 2 * d / 7) * x for d, x in enumerate(last.tolist())
        )  # linspace(-1, 1, 8) in plain numbers
        assert found[b].item() == pytest.approx(by_hand, abs=1e-5)


@pytest.mark.parametrize("trunk", ["separate", "shared"])
def test_value_of_a_prompt_knows_no_responses(trunk: Any, model: Any, rows: Any, batch_of: Any):
    critic = opinionated(Value(trunk).build(model, 0))
    others = [Row(row.prompt, [[4, 4, 4, 4, 4, 4, 2]]) for row in rows]
    torch.testing.assert_close(
        said(critic, model, batch_of(others)), said(critic, model, batch_of(rows)), rtol=0, atol=1e-5
    )


def test_a_separate_value_leaves_the_policy_alone(model: Any, rows: Any, batch_of: Any):
    critic = opinionated(Value().build(model, 0))
    said(critic, model, batch_of(rows)).sum().backward()
    assert all(p.grad is None for p in model.parameters())
    assert all(p.grad is not None for p in critic.parameters()), "no parameter may be unused under DDP"
    mine = {p.data_ptr() for p in model.parameters()}
    assert not any(p.data_ptr() in mine for p in critic.parameters())
    head = model.get_output_embeddings().weight
    assert not any(p.shape == head.shape and torch.equal(p, head) for p in critic.parameters())


def test_a_shared_value_trains_the_policys_trunk(model: Any, rows: Any, batch_of: Any):
    critic = opinionated(Value("shared").build(model, 0))
    said(critic, model, batch_of(rows)).sum().backward()
    assert sorted(name for name, _ in critic.named_parameters()) == ["head.bias", "head.weight"]
    embedding = model.get_input_embeddings().weight.grad
    assert embedding is not None and bool(embedding[5].any()) and bool(embedding[9].any())
    assert not bool(embedding[12].any()), "a response's token"


def test_beside_an_adapter_only_the_adapter_is_copied(model: Any):
    policy = Lora(r=2).apply(model, 0)
    critic = Value().build(policy, 0)
    theirs = {name: p for name, p in policy.named_parameters()}
    frozen = {p.data_ptr() for p in theirs.values() if not p.requires_grad}
    trained = {p.data_ptr() for p in theirs.values() if p.requires_grad}
    own = [p for name, p in critic.named_parameters() if p.requires_grad]
    assert len(own) == 2 + len(trained) and not {p.data_ptr() for p in own} & trained
    assert {p.data_ptr() for p in critic.parameters() if not p.requires_grad} <= frozen


def test_ranges():
    for wrong in (0.0, float("inf"), float("nan")):
        with pytest.raises(ValueError, match="lr_scale must be above 0"):
            Value(lr_scale=wrong)
