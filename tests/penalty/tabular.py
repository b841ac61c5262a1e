"""A policy and its reference over all responses of at most three tokens, by enumeration in float64.

Symbols 0, 1, 2; 0 ends a response. Each of the 7 states (what was written so far) has logits of its own.
"""

from __future__ import annotations

import itertools
from typing import Any

import torch
from torch import Tensor

from xpo.penalty.loss import InLoss

STATES = [(), (1,), (2,), *itertools.product((1, 2), repeat=2)]
RESPONSES = [
    (0,),
    *((a, 0) for a in (1, 2)),
    *((a, b, c) for a, b in itertools.product((1, 2), repeat=2) for c in (0, 1, 2)),
]
MASK = torch.tensor([[t < len(y) for t in range(3)] for y in RESPONSES])  # NT
_STATE = torch.tensor([[STATES.index(y[:t]) if t < len(y) else 0 for t in range(3)] for y in RESPONSES])
_TOKEN = torch.tensor([[y[t] if t < len(y) else 0 for t in range(3)] for y in RESPONSES])


def logits(seed: int) -> Tensor:
    """Of a policy that is far from uniform."""
    draw = torch.Generator().manual_seed(seed)
    return 1.2 * torch.randn(len(STATES), 3, generator=draw, dtype=torch.float64)


def token_logp(theta: Tensor) -> Tensor:
    """logp_NT of all responses; 0 where no token is."""
    return theta.log_softmax(-1)[_STATE, _TOKEN] * MASK


def log_ratio(theta: Tensor, reference: Tensor) -> Tensor:
    return (token_logp(theta) - token_logp(reference)).detach()


def score_function(theta: Tensor, weight_NT: Tensor) -> Tensor:
    """sum_y pi(y) sum_t w_t grad log pi(y_t): what a policy gradient expects."""
    logp_NT = token_logp(theta)
    expected = (logp_NT.sum(1).exp().detach()[:, None] * weight_NT * logp_NT).sum()
    return torch.autograd.grad(expected, theta)[0]


def loss_gradient(theta: Tensor, reference: Tensor, penalty: InLoss, divergence: Any) -> Tensor:
    """What a penalty in the loss expects on the policy's own responses."""
    logp_NT = token_logp(theta)
    loss_BNT = penalty.loss(divergence, (logp_NT - token_logp(reference))[None], MASK[None])
    return torch.autograd.grad((logp_NT.sum(1).exp().detach() * loss_BNT[0].sum(1)).sum(), theta)[0]


def of_responses(theta: Tensor, reference: Tensor, divergence: Any) -> Tensor:
    """grad of -D_f(pi || ref) of whole responses."""
    whole = divergence.exact(token_logp(theta).sum(1), token_logp(reference).sum(1))
    return torch.autograd.grad(-whole, theta)[0]


def of_states(theta: Tensor, reference: Tensor, divergence: Any, fixed: bool = False) -> Tensor:
    """grad of minus the expected sum of D_f of next tokens over the states that are visited.

    ``fixed``: as if what is written had no effect on which states are visited.
    """
    reach_S = _reach(theta.detach() if fixed else theta)
    each_S = divergence.exact(theta.log_softmax(-1), reference.log_softmax(-1))
    return torch.autograd.grad(-(reach_S * each_S).sum(), theta)[0]


def _reach(theta: Tensor) -> Tensor:
    """How likely each state is to be visited: the product of the choices that lead there."""
    logp = theta.log_softmax(-1)
    paths = [[logp[STATES.index(state[:t]), state[t]] for t in range(len(state))] for state in STATES]
    return torch.stack([torch.stack(path).sum().exp() if path else theta.new_ones(()) for path in paths])


def cosine(one: Tensor, other: Tensor) -> float:
    return float((one * other).sum() / (one.norm() * other.norm()))
