"""What a length option must keep to."""

from __future__ import annotations

from typing import Any

import torch
from torch.nn.functional import pad

from xpo.testing.batches import Toy, toy
from xpo.testing.tools import differ, require, same, variants


def pool_is_linear(length: Any) -> None:
    t = toy()
    mask = t.batch.mask_BKT
    both = length.pool(2 * t.logp_BKT + 3 * t.ref_logp_BKT, mask)
    same(
        both, 2 * length.pool(t.logp_BKT, mask) + 3 * length.pool(t.ref_logp_BKT, mask), "pool is not linear"
    )


def an_absent_response_is_worth_0(length: Any) -> None:
    t = toy()
    absent = ~t.batch.present_BK
    require(bool(absent.any()), "the toy batch should be ragged")
    for name, values in _outputs(length, t.logp_BKT, t.batch.mask_BKT).items():
        require(bool((values[absent] == 0).all()), f"{name} of a response without tokens is not 0")


def padding_is_not_read(length: Any) -> None:
    t = toy()
    mask = t.batch.mask_BKT
    clean = _outputs(length, t.logp_BKT, mask)
    garbage = _outputs(length, t.logp_BKT.masked_fill(~mask, torch.nan), mask)
    longer = _outputs(length, pad(t.logp_BKT, (0, 3, 0, 1)), pad(mask, (0, 3, 0, 1)))
    for name, values in clean.items():
        same(garbage[name], values, f"{name} reads padding")
        same(longer[name][:, :-1], values, f"{name} depends on how far the batch is padded")


def padding_has_no_gradient(length: Any) -> None:
    t = toy()
    leaf = t.logp_BKT.masked_fill(~t.batch.mask_BKT, 1e30).requires_grad_()
    (found,) = torch.autograd.grad(length.pool(leaf, t.batch.mask_BKT).sum(), leaf)
    require(bool(torch.isfinite(found).all()), "the gradient of pool is not finite")
    require(bool((found[~t.batch.mask_BKT] == 0).all()), "padding has a gradient")


def declares_averages(length: Any) -> None:
    t = toy(ragged=True, responses=1)
    pooled = length.pool(torch.ones_like(t.logp_BKT), t.batch.mask_BKT)
    is_average = bool(torch.allclose(pooled, torch.ones_like(pooled)))
    require(
        is_average == length.averages,
        f"averages={length.averages}, but equal tokens pool to {pooled[:, 0].tolist()}",
    )


def declares_offset(length: Any) -> None:
    offset = length.offset(_every_length().batch.mask_BKT)
    require(
        bool(offset.any()) == length.has_offset,
        f"has_offset={length.has_offset}, but the offset says otherwise",
    )


def declares_several(length: Any) -> None:
    t = toy()
    together = length.pool(t.logp_BKT, t.batch.mask_BKT)
    alone = torch.cat([length.pool(t.logp_BKT[:, [k]], t.batch.mask_BKT[:, [k]]) for k in range(3)], 1)
    if length.several:
        differ(together, alone, "several=True, but the other responses of the prompt do not matter")
    else:
        same(together, alone, "several=False, but the other responses of the prompt matter")


def every_field_is_read(length: Any) -> None:
    t = _every_length()
    for field, other in variants(length):
        pair = [_outputs(part, t.logp_BKT, t.batch.mask_BKT) for part in (length, other)]
        one, changed = (part["pool"] + part["offset"] for part in pair)
        differ(one, changed, f"nothing depends on {field}")
        texts = [part.text("x") + (part.offset_text() if part.has_offset else "") for part in (length, other)]
        require(texts[0] != texts[1], f"the formula's text does not show {field}")


def _every_length(most: int = 96) -> Toy:
    """Responses of 1, 2, ... tokens, far enough for what begins at some length; one row, none absent."""
    t = toy(rows=1, responses=most, tokens=most)
    return t.replace(mask_BKT=torch.ones(1, most, most, dtype=torch.bool).tril())


def _outputs(length: Any, values: torch.Tensor, mask: torch.Tensor) -> dict[str, torch.Tensor]:
    return {"pool": length.pool(values, mask), "offset": length.offset(mask).to(values.dtype)}


CHECKS = (
    pool_is_linear,
    an_absent_response_is_worth_0,
    padding_is_not_read,
    padding_has_no_gradient,
    declares_averages,
    declares_offset,
    declares_several,
    every_field_is_read,
)
