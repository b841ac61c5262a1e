"""What every policy loss shares."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import ClassVar

from torch import Tensor

from xpo.contracts import masked

Ratio = tuple[Tensor, Tensor]
"""A metric before it is reduced: numerator and denominator, scalars."""


class PolicyLoss(ABC):
    """One loss per token, zeros outside the mask; nothing that stands there is read.

    A subclass writes ``losses``, which sees exact zeros outside the mask. The advantage and
    ``old_logp_BKT`` (the log-probs of the policy that drew the tokens) carry no gradient.
    """

    applies: ClassVar[bool] = True  # False: there is no policy gradient at all
    reads_ratio: ClassVar[bool]  # the ratio to the policy that drew: needs old_logp_BKT

    def __call__(
        self, logp_BKT: Tensor, old_logp_BKT: Tensor, advantage_BKT: Tensor, mask_BKT: Tensor
    ) -> Tensor:
        """loss_BKT, to be summed or averaged by ``reduce``."""
        loss_BKT = self.losses(
            masked(logp_BKT, mask_BKT),
            masked(old_logp_BKT.detach(), mask_BKT),
            masked(advantage_BKT.detach(), mask_BKT),
            mask_BKT,
        )
        return masked(loss_BKT, mask_BKT)

    @abstractmethod
    def losses(
        self, logp_BKT: Tensor, old_logp_BKT: Tensor, advantage_BKT: Tensor, mask_BKT: Tensor
    ) -> Tensor: ...

    def metrics(
        self, logp_BKT: Tensor, old_logp_BKT: Tensor, advantage_BKT: Tensor, mask_BKT: Tensor
    ) -> dict[str, Ratio]:
        """What is worth watching, without gradient."""
        return {}

    @property
    def definitions(self) -> tuple[tuple[str, str], ...]:
        """Names that its text uses beside them, each with an expression of names before it."""
        return ()

    @abstractmethod
    def text(self) -> str:
        """The loss of one token as an expression in ``logp``, ``old_logp`` and ``advantage``."""

    @abstractmethod
    def latex(self) -> str:
        """The same in LaTeX, in A_t."""
