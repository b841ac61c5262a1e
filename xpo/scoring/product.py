"""Products of half-precision operands that are accumulated and kept in float32."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

HALF = (torch.bfloat16, torch.float16)


def autocast_dtype(device: str) -> torch.dtype | None:
    """The type that autocast would cast operands to now; None where it is off."""
    return torch.get_autocast_dtype(device) if torch.is_autocast_enabled(device) else None


def operand(tensor: Tensor, autocast: torch.dtype | None) -> Tensor:
    """Cast as autocast would; widened where the device has no product with a float32 result."""
    if autocast is not None:
        tensor = tensor.to(autocast)
    if tensor.dtype in HALF and not tensor.is_cuda:
        return tensor.float()
    return tensor


def product(left: Tensor, right: Tensor) -> Tensor:
    """left @ right, in float32 at least; without a gradient for half-precision operands."""
    if left.dtype in HALF:
        return torch.mm(left, right, out_dtype=torch.float32)
    return left @ right


def wide_product(left: Tensor, right: Tensor) -> Tensor:
    """left @ right, in float32 at least, with gradients."""
    if left.dtype in HALF:
        return _WideProduct.apply(left, right)  # pyright: ignore[reportReturnType]
    return left @ right


class _WideProduct(torch.autograd.Function):
    """The gradient of a product with a float32 result, which torch has none for."""

    @staticmethod
    def forward(ctx: Any, left: Tensor, right: Tensor) -> Tensor:
        ctx.save_for_backward(left, right)
        return product(left, right)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *grads: Any) -> Any:
        left, right = ctx.saved_tensors
        grad = grads[0].to(left.dtype)
        needs_left, needs_right = ctx.needs_input_grad
        return (
            product(grad, right.t()).to(left.dtype) if needs_left else None,
            product(left.t(), grad).to(right.dtype) if needs_right else None,
        )
