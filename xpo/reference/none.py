"""No reference."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from xpo.reference.prepared import Prepared
from xpo.registry import register
from xpo.scoring.score import Scoring


@register("reference", "none")
@dataclass(frozen=True)
class NoReference:
    """ref_logp = 0: the log-ratio is the log-likelihood. Not a uniform distribution over the vocabulary."""

    given: ClassVar[bool] = False
    needs_adapter: ClassVar[bool] = False
    renewed: ClassVar[bool] = False  # made anew when a round begins
    by_rounds: ClassVar[bool] = False  # it is the policy that the round before left, all round long
    cacheable: ClassVar[bool] = False
    cache: ClassVar[bool] = False

    def prepare(self, policy: Any, scoring: Scoring, tokenizer: Any) -> Prepared:
        """Zeros, and an empty fingerprint."""
        return Prepared(None, scoring, "")
