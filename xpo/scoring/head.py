"""Log-probabilities of edges from hidden states: float32, in chunks, never all edges x vocabulary at once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from xpo.scoring.product import autocast_dtype, operand, product


@dataclass(frozen=True, eq=False)
class Head:
    """The output head: ``logits = softcap * tanh(scale * (W h + b) / softcap)``; no cap if it is None."""

    weight_VD: Tensor
    bias_V: Tensor | None = None
    scale: float = 1.0
    softcap: float | None = None

    def detached(self) -> Head:
        """The same weights without gradient, in storage of their own reach."""
        bias_V = None if self.bias_V is None else self.bias_V.detach()
        return Head(self.weight_VD.detach(), bias_V, self.scale, self.softcap)

    def at(self, temperature: float) -> Head:
        """The head whose logits are this one's over the temperature, capped ones too: scale and cap shrink
        alike, so that what goes into the tanh stays."""
        if temperature == 1.0:
            return self
        softcap = None if self.softcap is None else self.softcap / temperature
        return Head(self.weight_VD, self.bias_V, self.scale / temperature, softcap)


@dataclass(frozen=True, eq=False)
class Targets:
    """What is predicted: the tokens and, under a support, which tokens compete (``table[row_E]``)."""

    token_E: Tensor
    table_RV: Tensor | None = None
    row_E: Tensor | None = None


def edge_logp(hidden_ED: Tensor, head: Head, targets: Targets, chunk: int) -> Tensor:
    """log p(token_e | hidden_e), exact gradients for hidden states, weight and bias.

    Products of half-precision operands are accumulated and kept in float32 (float64 operands stay float64).
    ``chunk`` is in edges. With more than one chunk nothing of size E x V outlives its own: the backward pass
    computes the logits again, or, when the head is frozen, the forward pass keeps d logp / d hidden (E x D).
    """
    half = autocast_dtype(hidden_ED.device.type)
    job = _Job(head, targets, chunk, half, torch.is_grad_enabled())
    return _EdgeLogp.apply(hidden_ED, head.weight_VD, head.bias_V, job)  # pyright: ignore[reportReturnType]


@dataclass(frozen=True, eq=False)
class _Job:
    head: Head
    targets: Targets
    chunk: int
    autocast: torch.dtype | None
    training: bool

    def operand(self, tensor: Tensor) -> Tensor:
        return operand(tensor, self.autocast)

    def logits(self, hidden_CD: Tensor, weight_VD: Tensor, bias_V: Tensor | None) -> Tensor:
        logits_CV = product(hidden_CD, weight_VD.t())
        if bias_V is not None:
            logits_CV += bias_V
        if self.head.scale != 1.0:
            logits_CV *= self.head.scale
        if self.head.softcap is not None:
            logits_CV = logits_CV.div_(self.head.softcap).tanh_().mul_(self.head.softcap)
        return logits_CV

    def slope(self, logits_CV: Tensor) -> Tensor | None:
        """d logits / d (W h + b), if it varies; clamped where a support has set minus infinity."""
        if self.head.softcap is None:
            return None
        return (1 - (logits_CV / self.head.softcap) ** 2).clamp(min=0).mul_(self.head.scale)

    def restrict(self, logits_CV: Tensor, span: slice) -> Tensor:
        table, row_E = self.targets.table_RV, self.targets.row_E
        if table is None or row_E is None:
            return logits_CV
        return logits_CV.masked_fill_(~table[row_E[span]], float("-inf"))

    def towards(self, prob_CV: Tensor, span: slice, slope_CV: Tensor | None) -> Tensor:
        """d logp / d (W h + b), in place: (1[v = token] - p_v), times the slope."""
        token_C1 = self.targets.token_E[span, None]
        grad_CV = prob_CV.neg_().scatter_add_(1, token_C1, torch.ones_like(token_C1, dtype=prob_CV.dtype))
        if slope_CV is not None:
            return grad_CV.mul_(slope_CV)
        return grad_CV if self.head.scale == 1.0 else grad_CV.mul_(self.head.scale)


class _EdgeLogp(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, hidden: Tensor, weight: Tensor, bias: Tensor | None, job: _Job) -> Tensor:
        with torch.autocast(hidden.device.type, enabled=False):
            return _forward(ctx, hidden, weight, bias, job)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *grads: Any) -> Any:
        (grad_E,) = grads
        with torch.autocast(grad_E.device.type, enabled=False):
            return (*_backward(ctx, grad_E), None)


def _spans(total: int, chunk: int) -> list[slice]:
    return [slice(start, min(start + chunk, total)) for start in range(0, total, chunk)]


def _forward(ctx: Any, hidden: Tensor, weight: Tensor, bias: Tensor | None, job: _Job) -> Tensor:
    hidden_ED, weight_VD = job.operand(hidden), job.operand(weight)
    spans = _spans(len(hidden_ED), job.chunk)
    frozen = job.training and ctx.needs_input_grad[0] and not any(ctx.needs_input_grad[1:3])
    parts: list[Tensor] = []
    norms: list[Tensor] = []
    towards: list[Tensor] = []
    kept = None
    for span in spans:
        logits_CV = job.logits(hidden_ED[span], weight_VD, bias)
        slope = job.slope(logits_CV) if frozen else None
        logits_CV = job.restrict(logits_CV, span)
        picked_C = logits_CV.gather(1, job.targets.token_E[span, None]).squeeze(1)
        norm_C = logits_CV.logsumexp(1)
        parts.append(picked_C - norm_C)
        norms.append(norm_C)
        if frozen:
            prob_CV = logits_CV.sub_(norm_C[:, None]).exp_()
            towards.append(product(job.towards(prob_CV, span, slope).to(weight_VD.dtype), weight_VD))
        elif job.training and len(spans) == 1:
            kept = logits_CV
    ctx.job, ctx.frozen = job, frozen
    if frozen:
        ctx.save_for_backward(torch.cat(towards), hidden, weight, bias)
    elif job.training:
        ctx.save_for_backward(torch.cat(norms) if norms else None, hidden, weight, bias, kept)
    return torch.cat(parts) if parts else hidden_ED.new_zeros(0, dtype=torch.float32)


def _backward(ctx: Any, grad_E: Tensor) -> tuple[Tensor | None, Tensor | None, Tensor | None]:
    if ctx.frozen:
        towards_ED, hidden, _, _ = ctx.saved_tensors
        return (towards_ED * grad_E[:, None]).to(hidden.dtype), None, None
    return _recompute(ctx, grad_E)


def _recompute(ctx: Any, grad_E: Tensor) -> tuple[Tensor | None, Tensor | None, Tensor | None]:
    job: _Job = ctx.job
    norm_E, hidden, weight, bias, kept = ctx.saved_tensors
    needs_hidden, needs_weight, needs_bias, _ = ctx.needs_input_grad
    hidden_ED, weight_VD = job.operand(hidden), job.operand(weight)
    grad_hidden = torch.zeros_like(hidden_ED, dtype=grad_E.dtype) if needs_hidden else None
    grad_weight = torch.zeros_like(weight_VD, dtype=grad_E.dtype) if needs_weight else None
    grad_bias = grad_E.new_zeros(len(weight_VD)) if needs_bias else None
    for span in _spans(len(hidden_ED), job.chunk):
        logits_CV = job.logits(hidden_ED[span], weight_VD, bias) if kept is None else kept
        slope = job.slope(logits_CV)
        if kept is None:
            logits_CV = job.restrict(logits_CV, span)
        prob_CV = (logits_CV - norm_E[span, None]).exp_()
        grad_CV = job.towards(prob_CV, span, slope).mul_(grad_E[span, None])
        if grad_bias is not None:
            grad_bias += grad_CV.sum(0)
        grad_CV = grad_CV.to(weight_VD.dtype)
        if grad_hidden is not None:
            grad_hidden[span] = product(grad_CV, weight_VD)
        if grad_weight is not None:
            grad_weight += product(grad_CV.t(), hidden_ED[span])
    return (
        None if grad_hidden is None else grad_hidden.to(hidden.dtype),
        None if grad_weight is None else grad_weight.to(weight.dtype),
        None if grad_bias is None or bias is None else grad_bias.to(bias.dtype),
    )
