"""Values of response tokens for policy gradients: what they read, what they begin at, what they learn."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from xpo.critic.tokens import Tokens
from xpo.scoring.score import Scoring, response_edges
from xpo.testing import failures


def said(critic: Any, model: Any, batch: Any) -> dict[str, torch.Tensor]:
    scoring = Scoring()
    return critic(batch, scoring.distributions(model, batch, response_edges(batch.packed)), scoring)


def opinionated(critic: Any, name: str = "value_BKT") -> Any:
    head = critic.parts[name].head
    with torch.no_grad():
        head.weight.copy_(torch.linspace(-1, 1, head.weight.shape[1])[None])
        head.bias.fill_(0.25)
    return critic


@pytest.mark.parametrize("trunk", ["separate", "shared"])
def test_a_value_is_said_before_its_token_is_drawn(
    trunk: Any, model: Any, rows: Any, batch_of: Any, states_of: Any
) -> None:
    """It begins at 0; then it is the state that predicts a token, by hand from an ordinary forward pass."""
    critic, batch = Tokens(trunk).build(model, 0), batch_of(rows)
    assert not said(critic, model, batch)["value_BKT"].any()
    found = said(opinionated(critic), model, batch)["value_BKT"].detach()
    weight = torch.linspace(-1, 1, critic.parts["value_BKT"].head.weight.shape[1])
    for b, row in enumerate(rows):
        for k, response in enumerate(row.responses):
            states = states_of(model, [*row.prompt, *response])
            for t in range(len(response)):
                before = states[len(row.prompt) + t - 1].detach()
                assert float(found[b, k, t]) == pytest.approx(0.25 + float(weight @ before), abs=1e-4)
    assert not found[~batch.mask_BKT].any()


def test_costs_have_values_of_their_own(model: Any, rows: Any, batch_of: Any) -> None:
    critic = opinionated(Tokens(costs=True).build(model, 0), "cost_value_BKT")
    found = said(critic, model, batch_of(rows))
    assert not found["value_BKT"].any() and found["cost_value_BKT"].any()
    own = {id(p) for p in critic.parts["value_BKT"].parameters()}
    assert not own & {id(p) for p in critic.parts["cost_value_BKT"].parameters() if p.requires_grad}


def test_a_trunk_of_its_own_leaves_the_policy_alone(model: Any, rows: Any, batch_of: Any) -> None:
    for trunk, touched in (("separate", False), ("shared", True)):
        model.zero_grad()
        critic = opinionated(Tokens(trunk).build(model, 0))  # type: ignore[arg-type]
        said(critic, model, batch_of(rows))["value_BKT"].sum().backward()
        assert any(p.grad is not None and bool(p.grad.any()) for p in model.parameters()) == touched
    model.zero_grad()


def loss(option: Tokens, value: float, old: float, returns: float) -> float:
    return float(option.loss(*(torch.tensor([x]) for x in (value, old, returns))))


def test_the_loss_by_hand() -> None:
    """Half of squares; a value that has moved by more than the clip has the larger one of both."""
    assert loss(Tokens(clip=None), 1.0, 0.0, 3.0) == pytest.approx(2.0)
    assert loss(Tokens(clip=0.2), 1.0, 0.9, 3.0) == pytest.approx(2.0)
    assert loss(Tokens(clip=0.2), 1.0, 0.0, 3.0) == pytest.approx(2.8**2 / 2)  # as if it were 0.2
    assert loss(Tokens(clip=0.2), 4.0, 0.0, 3.0) == pytest.approx(2.8**2 / 2)
    assert loss(Tokens(clip=0.2), -4.0, 0.0, 3.0) == pytest.approx(24.5)


@pytest.mark.parametrize(
    ("field", "value"),
    [("weight", 0.0), ("weight", float("inf")), ("clip", 0.0), ("clip", -1.0), ("lr_scale", 0.0)],
)
def test_values_out_of_range_are_told(field: str, value: float) -> None:
    with pytest.raises(ValueError, match=f"{field} must be .*got {value}"):
        Tokens(**{field: value})  # type: ignore[arg-type]


class Away(Tokens):
    """Learns the opposite."""

    def loss(self, value_BKT: Any, old_BKT: Any, return_BKT: Any) -> Any:
        return super().loss(-value_BKT, old_BKT, return_BKT)


class OfOld(Tokens):
    """Forgets what it says now."""

    def loss(self, value_BKT: Any, old_BKT: Any, return_BKT: Any) -> Any:
        return super().loss(old_BKT, old_BKT, return_BKT)


class Unread(Tokens):
    """Has a loss of returns that nobody would read."""

    fits_returns = False


class NoCosts(Tokens):
    """Says that it values costs, and does not."""

    gives = frozenset({"value_BKT"})  # type: ignore[assignment]


@pytest.mark.parametrize(
    "broken", [Away(), OfOld(), Unread(), NoCosts(costs=True)], ids=lambda b: type(b).__name__
)
def test_the_kit_catches_broken_critics(broken: Tokens) -> None:
    assert not any("returns" in failure for failure in failures(Tokens(), "critic"))
    assert any(
        "learns_returns" in failure or "gives_what" in failure for failure in failures(broken, "critic")
    )
