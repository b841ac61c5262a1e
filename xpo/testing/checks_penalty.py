"""What a penalty must keep to."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from xpo.divergence.js import JensenShannon
from xpo.divergence.reverse_kl import ReverseKL
from xpo.testing.tools import differ, gradient, require, same

_MASK = torch.tensor([[[1, 1, 1, 1], [0, 1, 1, 0], [0, 0, 0, 0]]]).bool()


def _log_ratio() -> Tensor:
    draw = torch.Generator().manual_seed(0)
    return torch.randn(_MASK.shape, generator=draw, dtype=torch.float64)


def _divergences(penalty: Any) -> list[Any]:
    return [ReverseKL()] if penalty.linear_only else [ReverseKL(), JensenShannon()]


def _parts(penalty: Any, divergence: Any, log_ratio: Tensor) -> tuple[Tensor, ...]:
    if penalty.in_reward:
        return penalty.terms(divergence, log_ratio, _MASK)
    return (penalty.loss(divergence, log_ratio, _MASK),)


def acts_in_one_place(penalty: Any) -> None:
    require(penalty.applies == (penalty.in_reward or penalty.in_loss), f"applies={penalty.applies}")
    require(not (penalty.in_reward and penalty.in_loss), "it acts in the reward and in the loss")


def declares_linear_only(penalty: Any) -> None:
    if not penalty.linear_only:
        return
    try:
        _parts(penalty, JensenShannon(), _log_ratio())
    except ValueError:
        return
    raise AssertionError("linear_only=True, but it takes another divergence")


def rewards_have_no_gradient(penalty: Any) -> None:
    if not penalty.applies:
        return
    for divergence in _divergences(penalty):
        leaf = _log_ratio().requires_grad_()
        for part in _parts(penalty, divergence, leaf):
            if penalty.in_reward:
                require(not part.requires_grad, "a reward has a gradient")
            else:
                differ(gradient(part, leaf), torch.zeros_like(leaf), "a loss has no gradient")


def padding_is_not_read(penalty: Any) -> None:
    if not penalty.applies:
        return
    for divergence in _divergences(penalty):
        leaf = _log_ratio().masked_fill(~_MASK, torch.nan).requires_grad_()
        clean = _parts(penalty, divergence, _log_ratio())
        for part, other in zip(_parts(penalty, divergence, leaf), clean, strict=True):
            same(part.detach(), other, "it reads tokens that are not there")
            require(bool((part[~_MASK] == 0).all()), "it is not 0 outside the mask")
            require(bool((gradient(part, leaf)[~_MASK] == 0).all()), "padding has a gradient")


def nothing_at_the_reference(penalty: Any) -> None:
    """A policy that is its reference pays nothing."""
    if not penalty.applies:
        return
    for divergence in _divergences(penalty):
        for part in _parts(penalty, divergence, torch.zeros(_MASK.shape, dtype=torch.float64)):
            same(part, torch.zeros_like(part), "the reference itself is punished")


def holds_back(penalty: Any) -> None:
    """What the policy draws too often is made rarer: a lower reward in sum, or a loss that rises with it."""
    if not penalty.applies:
        return
    for divergence in _divergences(penalty):
        leaf = torch.full(_MASK.shape, 0.7, dtype=torch.float64, requires_grad=True)
        parts = _parts(penalty, divergence, leaf)
        if penalty.in_reward:
            require(bool(sum(part.sum() for part in parts) < 0), "leaving the reference is rewarded")
        else:
            require(bool((gradient(parts[0], leaf)[_MASK] > 0).all()), "the loss pushes from the reference")


CHECKS = (
    acts_in_one_place,
    declares_linear_only,
    rewards_have_no_gradient,
    padding_is_not_read,
    nothing_at_the_reference,
    holds_back,
)
