"""A reference made ready for one run, and the parts that options make it from."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol

import torch
from torch import Tensor, nn

from xpo.contracts import Batch
from xpo.reference.moving import Moving
from xpo.scoring.parts import evaluating
from xpo.scoring.score import Scoring
from xpo.scoring.token_statistics import Distributions

Host = Callable[[], AbstractContextManager[Any]]
"""Within it the model that it gives is the reference, in eval mode."""


@dataclass(frozen=True)
class Prepared:
    """``prepared(batch)`` is ``ref_logp_BKT``, without gradient; ``fingerprint`` hashes the weights.

    ``host`` is None where there is no reference: then its log-probabilities are 0. ``moving``: the weights
    of a reference that follows the policy.
    """

    host: Host | None
    scoring: Scoring
    fingerprint: str
    moving: Moving | None = None

    def __call__(self, batch: Batch) -> Tensor:
        if self.host is None:
            return torch.zeros(batch.mask_BKT.shape, dtype=torch.float32, device=batch.mask_BKT.device)
        with torch.no_grad(), self.host() as model:
            return self.scoring(_beside(model, batch), batch)

    def distributions(self, batch: Batch, span: slice) -> Distributions:
        """What its whole next-token distributions come from. Raises ``ValueError`` without a reference."""
        if self.host is None:
            raise ValueError("reference=none has no next-token distributions")
        with torch.no_grad(), self.host() as model:
            found = self.scoring.distributions(_beside(model, batch), batch, span)
            return Distributions(found.hidden_ED, found.head.detached())


class ReferenceOption(Protocol):
    """A component of the group ``reference``.

    ``given``: there is one. ``needs_adapter``: it is the policy without its adapter. ``cacheable``: it
    never changes in a run, so that its log-probabilities can be computed once. ``cache``: they shall be.
    ``renewed``: each round of a schedule begins with a new one; ``by_rounds``: and keeps it.
    ``prepare`` is called when the align stage begins, before the first update.
    """

    given: ClassVar[bool]
    needs_adapter: ClassVar[bool]
    cacheable: ClassVar[bool]
    renewed: ClassVar[bool]

    @property
    def by_rounds(self) -> bool: ...

    @property
    def cache(self) -> bool: ...

    def prepare(self, policy: Any, scoring: Scoring, tokenizer: Any) -> Prepared: ...


def snapshot(policy: nn.Module) -> nn.Module:
    """A copy of the policy in eval mode that no update reaches.

    Parameters that do not train are shared with the policy: beside a LoRA policy only its adapter is copied.
    """
    shared: dict[int, Any] = {id(p): p for p in policy.parameters() if not p.requires_grad}
    return copy.deepcopy(policy, shared).eval().requires_grad_(False)


def standing(model: nn.Module) -> Host:
    """A model of its own."""

    @contextmanager
    def host() -> Iterator[Any]:
        with evaluating(model):
            yield model

    return host


def _beside(model: Any, batch: Batch) -> Any:
    """The model on the batch's device."""
    return model.to(batch.mask_BKT.device)
