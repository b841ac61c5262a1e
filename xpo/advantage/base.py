"""What every advantage estimator shares: masks, samples of one prompt, the part of single tokens."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from xpo.contracts import masked

WHITEN_EPS = 1e-8
"""Added to the variance that whitening divides by, as all public implementations do."""


@dataclass(frozen=True)
class Estimate:
    """Zeros outside the mask. ``return_BKT`` is what a critic learns; None where none is read."""

    advantage_BKT: Tensor
    return_BKT: Tensor | None = None


class Estimator(ABC):
    """Called once on a whole rollout (all ranks' prompts), without gradient.

    A subclass writes ``estimate``, which sees each response's true tokens moved to the front and exact zeros
    behind them, so nothing that stands outside the mask is ever read. A response whose mask is all false
    is absent.
    """

    applies: ClassVar[bool] = True  # False: there is no policy gradient at all
    several: ClassVar[bool] = False  # needs at least two samples of each prompt
    reads_value: ClassVar[bool] = False  # needs value_BKT
    undiscounted: ClassVar[bool] = True  # later rewards count as much as earlier ones (may be a property)
    divides: ClassVar[bool] = False  # by how far a prompt's own samples are apart (may be a property)
    to_go: ClassVar[bool] = False  # token t's advantage leaves out the rewards before t

    def __call__(
        self,
        reward_BKT: Tensor,
        value_BKT: Tensor | None,
        mask_BKT: Tensor,
        own_BKT: Tensor | None = None,
        scale: bool = True,
    ) -> Estimate:
        """Advantages in the units of the reward, unless they are scaled.

        ``value_BKT``: what a critic expects from token t on, said before it is drawn. ``own_BKT``: what
        counts for the choice of token t alone, neither before nor after it (see the penalty group); it is
        added before any scaling, and no critic learns it. Raises ``ValueError`` without a value where one
        is needed, and for one sample per prompt where several are. Without ``scale`` they are left for
        ``rescaled``, as where several streams are mixed first.
        """
        self._check(value_BKT, mask_BKT)
        with torch.no_grad():
            front = _Front(mask_BKT)
            value = front.to(value_BKT) if self.reads_value and value_BKT is not None else None
            estimate = self.estimate(front.to(reward_BKT), value, front.mask_BKT)
            advantage = estimate.advantage_BKT
            if own_BKT is not None:
                advantage = advantage + self.own(front.to(own_BKT), front.mask_BKT)
            advantage = masked(advantage, front.mask_BKT)
            if scale:
                advantage = self.scaled(advantage, front.to(reward_BKT), front.mask_BKT)
            returns = estimate.return_BKT
            return Estimate(front.back(advantage), None if returns is None else front.back(returns))

    def rescaled(self, advantage_BKT: Tensor, reward_BKT: Tensor, mask_BKT: Tensor) -> Tensor:
        """Advantages, mixed of several streams, on this option's scale; ``reward_BKT`` is mixed alike."""
        front = _Front(mask_BKT)
        return front.back(self.scaled(front.to(advantage_BKT), front.to(reward_BKT), front.mask_BKT))

    @abstractmethod
    def estimate(self, reward_BKT: Tensor, value_BKT: Tensor | None, mask_BKT: Tensor) -> Estimate:
        """Not scaled; what stands outside the mask does not matter."""

    def scaled(self, advantage_BKT: Tensor, reward_BKT: Tensor, mask_BKT: Tensor) -> Tensor:
        """The advantages as they are used, from those with ``own_BKT`` added."""
        return advantage_BKT

    @property
    def notes(self) -> tuple[str, ...]:
        """What its settings do that its text does not say by itself."""
        return ()

    @abstractmethod
    def text(self, reward: str, value: str) -> str:
        """Not scaled, as an expression of tokens (see ``xpo.explain.credit``)."""

    def own_text(self, own: str) -> str:
        """What of ``own_BKT`` is added."""
        return own

    def scaled_text(self, x: str, reward: str) -> str:
        """The advantages ``x`` as they are used."""
        return x

    def own(self, own_BKT: Tensor, mask_BKT: Tensor) -> Tensor:
        """``own_BKT`` by the share of a response's reward that reaches its advantage on average, which is
        below 1 where the baseline holds that reward too: rewards and ``own_BKT`` keep their proportion."""
        return own_BKT

    def _check(self, value_BKT: Tensor | None, mask_BKT: Tensor) -> None:
        name = type(self).__name__
        if self.reads_value and value_BKT is None:
            raise ValueError(f"{name} needs value_BKT, the values of a critic; got None")
        if self.several and mask_BKT.shape[1] < 2:
            raise ValueError(
                f"{name} compares the samples of a prompt: at least 2 of each, got {mask_BKT.shape[1]}"
            )


class _Front:
    """True tokens to the front and back to their places."""

    def __init__(self, mask_BKT: Tensor) -> None:
        self._given_BKT = mask_BKT
        self._order_BKT = torch.argsort((~mask_BKT).byte(), dim=-1, stable=True)
        self.mask_BKT = mask_BKT.gather(-1, self._order_BKT)

    def to(self, values_BKT: Tensor) -> Tensor:
        return masked(values_BKT, self._given_BKT).gather(-1, self._order_BKT)

    def back(self, values_BKT: Tensor) -> Tensor:
        clean_BKT = masked(values_BKT, self.mask_BKT)
        return torch.zeros_like(clean_BKT).scatter(-1, self._order_BKT, clean_BKT)


def reward_to_go(reward_BKT: Tensor, discount: float) -> Tensor:
    """G_t = r_t + discount G_(t+1)."""
    going_BK = torch.zeros_like(reward_BKT[..., 0])
    returns = []
    for reward_BK in reversed(reward_BKT.unbind(-1)):
        going_BK = reward_BK + discount * going_BK
        returns.append(going_BK)
    return torch.stack(returns[::-1], -1)


def one_later(values_BKT: Tensor) -> Tensor:
    """x_(t+1), 0 after the last."""
    return torch.cat([values_BKT[..., 1:], torch.zeros_like(values_BKT[..., :1])], -1)


def whitened(values_BKT: Tensor, mask_BKT: Tensor) -> Tensor:
    """Mean 0 and variance 1 over all true tokens; the variance is that of the tokens at hand.

    Others divide by n - 1 in place of n (verl, and TRL's former PPO): theirs is sqrt((n - 1) / n) of it.
    TRL's RLOO and GRPO (``normalize_advantages``, ``scale_rewards=batch``) do so over responses, not tokens.
    """
    count = mask_BKT.sum().clamp(min=1)
    centred = masked(values_BKT - masked(values_BKT, mask_BKT).sum() / count, mask_BKT)
    return centred * (centred.square().sum() / count + WHITEN_EPS).rsqrt()


def to_go_text(x: str, discount: float) -> str:
    """``reward_to_go`` as an expression."""
    return f"to_go({x})" if discount == 1 else f"to_go({x}, {discount!r})"


def times_text(factor: float, x: str) -> str:
    """A product, where there is a factor."""
    return x if factor == 1 else f"{factor!r} * {x}"


WHITENED = (
    "Whitening takes the mean over all tokens off advantages and divides by their standard deviation: the "
    "scale of rewards and penalty together makes no difference, only their proportion does."
)
"""A note of every option that whitens."""


def check_discount(**discounts: float) -> None:
    """Raises ``ValueError`` unless each is in [0, 1]."""
    for name, discount in discounts.items():
        if not 0 <= discount <= 1:
            raise ValueError(f"{name} must be at least 0 and at most 1, got {discount}")
