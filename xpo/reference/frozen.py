"""The policy as it was when alignment began."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from xpo.model.loaded import fingerprint
from xpo.reference.prepared import Host, Prepared, snapshot, standing
from xpo.registry import register
from xpo.scoring.parts import evaluating
from xpo.scoring.score import Scoring


@register("reference", "frozen")
@dataclass(frozen=True)
class Frozen:
    """pi_ref of the offline methods, such as Rafailov et al. (arXiv 2305.18290, section 4).

    With ``cache`` the policy itself is scored before its first update, and no second model is kept; asked
    for a row that is not in the cache after that, it raises ``RuntimeError``. Without, a copy is kept.
    """

    given: ClassVar[bool] = True
    needs_adapter: ClassVar[bool] = False
    renewed: ClassVar[bool] = False  # made anew when a round begins
    by_rounds: ClassVar[bool] = False  # it is the policy that the round before left, all round long
    cacheable: ClassVar[bool] = True

    cache: bool = True

    def prepare(self, policy: Any, scoring: Scoring, tokenizer: Any) -> Prepared:
        """Log-probs of the weights that the policy has now."""
        host = _untouched(policy) if self.cache else standing(snapshot(policy))
        return Prepared(host, scoring, fingerprint(policy))


def _untouched(policy: nn.Module) -> Host:
    """The live policy for as long as no update has touched it."""
    before = _witness(policy)

    @contextmanager
    def host() -> Iterator[Any]:
        if not torch.equal(_witness(policy), before):
            raise RuntimeError(
                "reference=frozen was asked for rows that are not in its cache after the policy was trained; "
                "cache them before, or set reference.cache=false to keep a copy of the initial policy"
            )
        with evaluating(policy):
            yield policy

    return host


def _witness(policy: nn.Module) -> Tensor:
    """A few values of every trained parameter: an optimizer step moves some of them.

    Autograd's version counters would not do: fused optimizers leave them as they are.
    """
    return torch.cat([p.detach().flatten()[:4].cpu() for p in policy.parameters() if p.requires_grad])
