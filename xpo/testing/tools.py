"""What checks are made of."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import Any, Literal, get_args, get_origin, get_type_hints

import torch
from torch import Tensor


def require(condition: bool, sentence: str) -> None:
    """Raise ``AssertionError`` with a sentence, with or without ``python -O``."""
    if not condition:
        raise AssertionError(sentence)


def same(one: Any, other: Any, sentence: str, tolerance: float = 1e-10) -> None:
    """Require equal tensors, up to a tolerance relative to their size."""
    one, other = torch.as_tensor(one).double(), torch.as_tensor(other).double()
    require(one.shape == other.shape, f"{sentence}: shapes {tuple(one.shape)} and {tuple(other.shape)}")
    require(bool(torch.isfinite(one).all() & torch.isfinite(other).all()), f"{sentence}: not finite")
    off = (one - other).abs().max() if one.numel() else torch.tensor(0.0)
    require(bool(off <= tolerance * (1 + one.abs().max())), f"{sentence}: differ by {off:.3g}")


def differ(one: Tensor, other: Tensor, sentence: str, least: float = 1e-6) -> None:
    """Require tensors that differ somewhere."""
    require(bool((one.double() - other.double()).abs().max() > least), sentence)


def gradient(output: Tensor, leaf: Tensor) -> Tensor:
    """d output.sum() / d leaf; zeros where the output does not depend on it."""
    if not output.requires_grad:
        return torch.zeros_like(leaf)
    (found,) = torch.autograd.grad(output.sum(), leaf, allow_unused=True, retain_graph=True)
    return torch.zeros_like(leaf) if found is None else found


def variants(component: Any) -> Iterator[tuple[str, Any]]:
    """(field, the component with another value of that field), where some other value is allowed."""
    kinds = get_type_hints(type(component))
    for field in dataclasses.fields(component):
        now = component.__dict__[field.name]
        for value in _others(now, kinds[field.name]):
            if value == now:
                continue
            try:
                yield field.name, dataclasses.replace(component, **{field.name: value})
            except ValueError:
                continue
            break


def _others(value: Any, kind: Any) -> list[Any]:
    if get_origin(kind) is Literal:
        return [choice for choice in get_args(kind) if choice != value]
    if isinstance(value, bool):
        return [not value]
    if isinstance(value, int):
        return [value + 1, value - 1]
    if isinstance(value, float):
        return [value * 1.25, value * 0.8, value + 0.25]
    return []
