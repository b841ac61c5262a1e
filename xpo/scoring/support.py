"""Which tokens may stand where in a response."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor


@dataclass(frozen=True, eq=False)
class Support:
    """``allowed_TV[t, v]``: may token v be the t-th token of a response (the last row repeats for larger t).

    Logits of all other tokens are minus infinity before the log-softmax, so that a policy's mass lies on
    an enumerable set. Where one token alone is allowed its log-probability is exactly 0. Prompt tokens
    are not restricted. Raises ``ValueError`` if the table is no bool matrix or a row allows nothing.
    """

    allowed_TV: Tensor

    def __post_init__(self) -> None:
        if self.allowed_TV.dtype != torch.bool or self.allowed_TV.dim() != 2 or not len(self.allowed_TV):
            raise ValueError(
                "allowed_TV must be a bool matrix with at least one row, got "
                f"{self.allowed_TV.dtype} of shape {tuple(self.allowed_TV.shape)}"
            )
        empty = (~self.allowed_TV.any(1)).nonzero().flatten().tolist()
        if empty:
            raise ValueError(f"allowed_TV must allow at least one token at every index, none at t = {empty}")

    @cached_property
    def forced_from(self) -> int | None:
        """The first t from which on every token is the only allowed one; None if the end is free."""
        choices = self.allowed_TV.sum(1).tolist()
        if choices[-1] > 1:
            return None
        return max((t + 1 for t, n in enumerate(choices) if n > 1), default=0)

    def rows(self, depth_E: Tensor) -> Tensor:
        """Row of ``table`` for each edge; prompt edges (depth -1) take the last, unrestricted one."""
        last = self.allowed_TV.shape[0] - 1
        return torch.where(depth_E < 0, last + 1, depth_E.clamp(max=last))

    def table(self, device: torch.device) -> Tensor:
        """``allowed_TV`` with one unrestricted row below it."""
        free = torch.ones(1, self.allowed_TV.shape[1], dtype=torch.bool)
        return torch.cat([self.allowed_TV.cpu(), free]).to(device)

    def check(self, token_E: Tensor, depth_E: Tensor) -> None:
        """Raise ``ValueError`` at the first edge whose token may not stand where it stands."""
        allowed_E = self.table(token_E.device)[self.rows(depth_E), token_E]
        if not bool(allowed_E.all()):
            e = int((~allowed_E).nonzero()[0])
            raise ValueError(
                f"token {int(token_E[e])} may not stand at response index {int(depth_E[e])}: "
                "the response is outside the support that this run scores under"
            )
