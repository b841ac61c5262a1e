"""What a policy loss must keep to."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from xpo.testing.tools import differ, gradient, require, same

_MASK = torch.tensor([[[1, 1, 1, 1], [0, 1, 1, 0], [0, 0, 0, 0]]]).bool()


def _draw(seed: int) -> Tensor:
    draw = torch.Generator().manual_seed(seed)
    return torch.randn(_MASK.shape, generator=draw, dtype=torch.float64)


def _given() -> tuple[Tensor, Tensor, Tensor]:
    """logp, old_logp (near it), advantage."""
    logp = -1 - 0.3 * _draw(0).abs()
    return logp, logp + 0.02 * _draw(1), _draw(2)


def declares_reads_ratio(loss: Any) -> None:
    if not loss.applies:
        require(not loss.reads_ratio, "it reads, for nothing")
        return
    logp, old, advantage = _given()
    moved = bool(
        (loss(logp, old, advantage, _MASK) - loss(logp, old + 0.01, advantage, _MASK)).abs().max() > 1e-9
    )
    require(moved == loss.reads_ratio, f"reads_ratio={loss.reads_ratio}, but the loss says otherwise")


def begins_as_the_policy_gradient(loss: Any) -> None:
    """While the policy is the one that drew, token t's gradient is -A_t."""
    if not loss.applies:
        return
    logp, _, advantage = _given()
    leaf = logp.clone().requires_grad_()
    found = gradient(loss(leaf, logp, advantage, _MASK), leaf)
    same(found, -advantage * _MASK, "at ratio 1 it is not the policy gradient")


def only_the_policy_learns(loss: Any) -> None:
    if not loss.applies:
        return
    logp, old, advantage = (x.requires_grad_() for x in _given())
    found = loss(logp, old, advantage, _MASK)
    for name, leaf in (("old_logp", old), ("advantage", advantage)):
        require(not bool(gradient(found, leaf).any()), f"{name} has a gradient")
    differ(gradient(found, logp), torch.zeros_like(logp), "the policy has none")


def padding_is_not_read(loss: Any) -> None:
    if not loss.applies:
        return
    given = _given()
    logp, old, advantage = (x.masked_fill(~_MASK, torch.nan) for x in given)
    found = loss(logp.requires_grad_(), old, advantage, _MASK)
    same(found.detach(), loss(*given, _MASK), "the loss reads tokens that are not there")
    require(bool((found[~_MASK] == 0).all()), "the loss is not 0 outside the mask")
    require(bool((gradient(found, logp)[~_MASK] == 0).all()), "tokens that are not there have a gradient")
    clean, dirty = loss.metrics(*given, _MASK), loss.metrics(logp, old, advantage, _MASK)
    for name, parts in dirty.items():
        for one, other in zip(parts, clean[name], strict=True):
            same(one, other, f"{name} reads tokens that are not there")
            require(not one.requires_grad, f"{name} has a gradient")


def survives_far_policies(loss: Any) -> None:
    if not loss.applies:
        return
    logp, old, advantage = _given()
    leaf = logp.clone().requires_grad_()
    for far in (-500.0, 500.0):
        found = loss(leaf, old + far, advantage, _MASK)
        require(bool(torch.isfinite(found).all()), "a policy that moved far has no finite loss")
        require(
            bool(torch.isfinite(gradient(found, leaf)).all()),
            "a policy that moved far has no finite gradient",
        )


def shows_its_formula(loss: Any) -> None:
    if loss.applies:
        require(loss.text().isascii() and "advantage" in loss.text(), f"its text is {loss.text()!r}")


CHECKS = (
    declares_reads_ratio,
    begins_as_the_policy_gradient,
    only_the_policy_learns,
    padding_is_not_read,
    survives_far_policies,
    shows_its_formula,
)
