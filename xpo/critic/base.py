"""What a network that is trained beside the policy must give."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, ClassVar, Protocol

from torch import Tensor, nn

from xpo.contracts import Batch
from xpo.scoring.score import Scoring
from xpo.scoring.token_statistics import Distributions

Processor = Callable[[Tensor, Tensor], Tensor]
"""A logits processor as transformers' ``generate`` calls it: token ids, logits -> logits."""


class Decoding(Protocol):
    """How a policy with a critic draws its responses, where that is not the policy's own distribution.

    ``recipe`` is Python that makes a ``processor`` from ``folder`` and ``model``, for the model card.
    """

    recipe: ClassVar[str]

    def scoring(self, scoring: Scoring) -> Any:
        """``logp_BKT`` of a model's responses as they are drawn, called as a ``Scoring`` is."""
        ...

    def processor(self, model: Any) -> AbstractContextManager[Processor]:
        """The same for ``generate``, while the context lasts."""
        ...

    def save(self, folder: Path) -> None:
        """Write what a model folder needs beside the policy's weights."""
        ...


class Critic(nn.Module):
    """``critic(batch, states, scoring)`` is what ``gives`` names, as Context.value: ..._B or ..._BKT.

    ``states``: the policy's hidden states that predict the response tokens, with gradient, so that the
    policy runs once. ``lr_scale`` times the optimizer's rate is this network's.
    """

    lr_scale: float

    @abstractmethod
    def forward(self, batch: Batch, states: Distributions, scoring: Scoring) -> dict[str, Tensor]: ...

    def follow(self, step: int) -> None:
        """Called after every optimizer step, with its number."""

    @property
    def decoding(self) -> Decoding | None:
        """None where responses are drawn from the policy itself."""
        return None


class CriticOption(Protocol):
    """A component of the group ``critic``.

    ``gives``: names in Context.value. ``every_state``: hidden states after forced tokens are read too, so
    that none may be left out of packed rows. ``fits_returns``: it learns what advantages are measured from
    (``loss(value_BKT, old_BKT, return_BKT)``, counted ``weight`` times). ``build`` is called when the align
    stage begins.
    """

    gives: ClassVar[frozenset[str]]
    every_state: ClassVar[bool]
    fits_returns: ClassVar[bool]

    def build(self, policy: Any, seed: int) -> Critic | None: ...


def check_lr_scale(lr_scale: float) -> None:
    """Raises ``ValueError``."""
    if not 0 < lr_scale < float("inf"):
        raise ValueError(f"lr_scale must be above 0 and finite, got {lr_scale}")
