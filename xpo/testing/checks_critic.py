"""What an objective must do with what a critic says; objectives without a critic pass."""

from __future__ import annotations

import dataclasses
from typing import Any

import torch
from torch import Tensor

from xpo.testing.batches import Toy, toy
from xpo.testing.run_objective import loss as loss_of
from xpo.testing.tools import differ, gradient, require, same


def _values(objective: Any, t: Toy) -> dict[str, Tensor]:
    return {name: t.value(name).clone().requires_grad_() for name in sorted(objective.critic)}


def _slopes(objective: Any, t: Toy) -> dict[str, Tensor]:
    values = _values(objective, t)
    loss = loss_of(objective, t, value=values)
    return {name: gradient(loss, value) for name, value in values.items()}


def every_value_is_read(objective: Any) -> None:
    t = toy()
    plain = _seen(objective, t, {name: t.value(name) for name in objective.critic})
    for name in sorted(objective.critic):
        moved = {other: t.value(other) + (0.3 if other == name else 0.0) for other in objective.critic}
        differ(_seen(objective, t, moved), plain, f"critic names {name}, and nothing depends on it")


def _seen(objective: Any, t: Toy, values: dict[str, Tensor]) -> Tensor:
    """The loss and its gradients by everything that learns."""
    leaves = [t.reward_BK.clone().requires_grad_(), t.logp_BKT.clone().requires_grad_()]
    known = {name: value.clone().requires_grad_() for name, value in values.items()}
    moved = dataclasses.replace(t, reward_BK=leaves[0], logp_BKT=leaves[1])
    loss = loss_of(objective, moved, value=known)
    return torch.cat(
        [loss.detach(), *(gradient(loss, leaf).flatten() for leaf in (*leaves, *known.values()))]
    )


def higher_scores_raise_values(objective: Any) -> None:
    """A unit more for every response: the gradient lifts some value more, and none less."""
    if not objective.critic:
        return
    t = toy()
    assert t.batch.score_BK is not None
    low, high = _slopes(objective, t), _slopes(objective, t.replace(score_BK=t.batch.score_BK + 1))
    change = torch.cat([(high[name] - low[name]).reshape(4, -1) for name in low], 1)
    require(bool((change <= 1e-12).all()), "a higher score pushes a value down")
    require(bool((change < 0).any(1).all()), "no value learns from the scores")


def values_of_padding_are_not_read(objective: Any) -> None:
    t = toy()
    outside = ~t.batch.mask_BKT
    values = _values(objective, t)
    tokens = [name for name in values if name.endswith("_BKT")]
    for name in tokens:
        values[name] = t.value(name).masked_fill(outside, torch.nan).requires_grad_()
    loss = loss_of(objective, t, value=values)
    same(loss.detach(), loss_of(objective, t), "the loss reads values of tokens that are not there")
    for name in tokens:
        found = gradient(loss, values[name])
        require(bool((found[outside] == 0).all()), f"{name} has a gradient where no token is")


def declares_absorbs_constant(objective: Any) -> None:
    """Adding c(x) to the rewards and taking it off the prompt's value changes nothing."""
    if "prompt_value_B" not in objective.critic:
        require(not objective.absorbs_constant, "absorbs_constant=True, but no prompt_value_B is read")
        return
    t = toy()
    shift_B = torch.tensor([0.3, -0.7, 1.1, 2.0], dtype=torch.float64)
    moved = dataclasses.replace(t, reward_BK=t.reward_BK + shift_B[:, None])
    values = {name: t.value(name) for name in objective.critic}
    values["prompt_value_B"] = values["prompt_value_B"] - shift_B
    absorbed = bool(torch.allclose(loss_of(objective, moved, value=values), loss_of(objective, t)))
    require(
        absorbed == objective.absorbs_constant,
        f"absorbs_constant={objective.absorbs_constant}, but the loss says otherwise",
    )


CHECKS = (
    every_value_is_read,
    higher_scores_raise_values,
    values_of_padding_are_not_read,
    declares_absorbs_constant,
)
