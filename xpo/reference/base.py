"""The policy with its adapter switched off."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, ClassVar

from xpo.errors import UserError
from xpo.model.loaded import fingerprint
from xpo.reference.prepared import Prepared
from xpo.registry import register
from xpo.scoring.parts import evaluating
from xpo.scoring.score import Scoring


@register("reference", "base")
@dataclass(frozen=True)
class Base:
    """The frozen weights below a LoRA adapter; no second model is kept.

    It differs from ``frozen`` where the adapter was trained before alignment began (a LoRA SFT stage).
    """

    given: ClassVar[bool] = True
    needs_adapter: ClassVar[bool] = True
    renewed: ClassVar[bool] = False  # made anew when a round begins
    by_rounds: ClassVar[bool] = False  # it is the policy that the round before left, all round long
    cacheable: ClassVar[bool] = True

    cache: bool = True

    def prepare(self, policy: Any, scoring: Scoring, tokenizer: Any) -> Prepared:
        """Log-probs of the base weights; ``UserError`` if the policy has no adapter."""
        from peft import PeftModel

        if not isinstance(policy, PeftModel):
            raise UserError(
                "reference=base is the model without its adapter; set adapter=lora or reference=frozen"
            )

        @contextmanager
        def host() -> Iterator[Any]:
            with evaluating(policy), policy.disable_adapter():
                yield policy

        return Prepared(host, scoring, fingerprint(policy, without=str(policy.base_model.prefix)))
