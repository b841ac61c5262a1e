"""What every f-divergence shares: exact values and exact optima from its generator and inverse link."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import ClassVar

import torch
from torch import Tensor

from xpo.contracts import masked

EXPONENT_LIMIT = 40.0
"""Exponents beyond this continue linearly (C1), so links stay increasing, finite and never flat."""


def expm1(x: Tensor) -> Tensor:
    """e^x - 1, continued with its tangent above ``EXPONENT_LIMIT``: no overflow, no zero gradient."""
    limit = torch.tensor(EXPONENT_LIMIT, dtype=x.dtype, device=x.device)
    return torch.expm1(torch.minimum(x, limit)) + limit.exp() * (x - limit).clamp(min=0)


def beyond_limit(log_u: Tensor) -> Tensor:
    """True where a log-ratio may leave the exact part of a link (a share to log, not an error)."""
    return log_u.abs() > EXPONENT_LIMIT


def log_wright_omega(z: Tensor) -> Tensor:
    """v = log omega(z), the solution of e^v + v = z, in float64 by Newton's method (5 steps reach 1e-15)."""
    z = z.double()
    v = torch.where(z > 1, z.clamp(min=1).log(), z)
    for _ in range(8):
        v = v - (v.exp() + v - z) / (v.exp() + 1)
    return v


def supported_reward(ref_logp: Tensor, reward: Tensor) -> Tensor:
    """The rewards, those of responses without reference mass replaced by the lowest of the others."""
    supported = ref_logp > -torch.inf
    lowest = reward.masked_fill(~supported, torch.inf).amin(-1, keepdim=True)
    return torch.where(supported, reward, lowest)


class FDivergence(ABC):
    """D_f(pi || ref) = E_ref f(u), u = pi / ref, with f(1) = 0 and, in this code, f'(1) = 0.

    Adding c (u - 1) to f changes neither D_f nor its optimum, so every generator here has that term
    chosen such that f'(1) = 0: then f >= 0 and ``link`` = f' is 0 where the policy is the reference.
    A new divergence writes ``link``, ``value``, ``generator``, ``inverse`` and their texts.
    """

    regularises: ClassVar[bool] = True
    linear: ClassVar[bool] = False
    regularises: ClassVar[bool] = True  # False: there is no divergence at all
    invertible: ClassVar[bool] = True
    why_not_off_policy: ClassVar[str] = ""  # for the refusal, when not invertible
    supremum: ClassVar[float] = float("inf")  # of the link

    @abstractmethod
    def link(self, log_u: Tensor) -> Tensor:
        """f'(u), increasing in log_u."""

    @abstractmethod
    def value(self, log_u: Tensor) -> Tensor:
        """f(u) / u: its mean over samples of pi is D_f.

        As a term of a loss its gradient on samples of pi is that of D_g, g'(u) = f'(u) - f(u) / u.
        """

    @abstractmethod
    def generator(self, log_u: Tensor) -> Tensor:
        """f(u), for exact sums over an enumerated set."""

    @abstractmethod
    def inverse(self, slope: Tensor) -> Tensor:
        """log u with link(log u) = slope, in float64; -inf where the slope is below the link's range."""

    @abstractmethod
    def text(self, x: str) -> str:
        """The link as an expression in the log-ratio ``x``."""

    @abstractmethod
    def value_text(self, x: str) -> str:
        """The value as an expression in the log-ratio ``x``."""

    @abstractmethod
    def latex(self, x: str) -> str:
        """The link in LaTeX."""

    def link_bound(self) -> float:
        """The supremum of the link (a method, as it may depend on fields)."""
        return self.supremum

    def exact(self, logp: Tensor, ref_logp: Tensor) -> Tensor:
        """D_f(pi || ref) by enumeration of the last dimension, float64."""
        logp, ref_logp = logp.double(), ref_logp.double()
        supported = ref_logp > -torch.inf
        log_u = masked(logp - ref_logp, supported)
        return masked(ref_logp.exp() * self.generator(log_u), supported).sum(-1)

    def optimum(self, ref_logp: Tensor, reward: Tensor, beta: float) -> Tensor:
        """log pi* of max E_pi[r] - beta D_f(pi || ref) over the last dimension, float64.

        pi* = ref (f')^{-1}((r - lambda) / beta) with lambda by bisection (the bracket always holds).
        Links with a supremum resolve u up to about 1e12.
        """
        ref_logp, reward = ref_logp.double(), reward.double()
        reward = supported_reward(ref_logp, reward)
        top = reward.amax(-1, keepdim=True)
        low = torch.maximum(reward.amin(-1, keepdim=True), top - beta * (self.link_bound() - 1e-12))
        high = top.clone()
        for _ in range(100):
            middle = (low + high) / 2
            mass = torch.logsumexp(ref_logp + self.inverse((reward - middle) / beta), -1, keepdim=True)
            low, high = torch.where(mass > 0, middle, low), torch.where(mass > 0, high, middle)
        return torch.log_softmax(ref_logp + self.inverse((reward - high) / beta), -1)
