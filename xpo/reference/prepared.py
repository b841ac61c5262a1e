"""A reference made ready for one run, and the parts that options make it from."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol

import torch
from torch import Tensor, nn

from xpo.contracts import Batch
from xpo.scoring.score import Scoring


@dataclass(frozen=True)
class Prepared:
    """``prepared(batch)`` is ``ref_logp_BKT``, without gradient; ``fingerprint`` hashes the weights."""

    score: Callable[[Batch], Tensor]
    fingerprint: str

    def __call__(self, batch: Batch) -> Tensor:
        with torch.no_grad():
            return self.score(batch)


class ReferenceOption(Protocol):
    """A component of the group ``reference``.

    ``given``: there is one. ``needs_adapter``: it is the policy without its adapter. ``cacheable``: it
    never changes in a run, so that its log-probabilities can be computed once. ``cache``: they shall be.
    ``prepare`` is called when the align stage begins, before the first update.
    """

    given: ClassVar[bool]
    needs_adapter: ClassVar[bool]
    cacheable: ClassVar[bool]

    @property
    def cache(self) -> bool: ...

    def prepare(self, policy: Any, scoring: Scoring, tokenizer: Any) -> Prepared: ...


def snapshot(policy: nn.Module) -> nn.Module:
    """A copy of the policy in eval mode that no update reaches.

    Parameters that do not train are shared with the policy: beside a LoRA policy only its adapter is copied.
    """
    shared: dict[int, Any] = {id(p): p for p in policy.parameters() if not p.requires_grad}
    return copy.deepcopy(policy, shared).eval().requires_grad_(False)


def scorer(model: nn.Module, scoring: Scoring) -> Callable[[Batch], Tensor]:
    """Score with a model of its own, which follows the batches to their device."""

    def score(batch: Batch) -> Tensor:
        return scoring(model.to(batch.mask_BKT.device), batch)

    return score
