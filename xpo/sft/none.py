"""No supervised fine-tuning."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from xpo.contracts import Batch
from xpo.registry import register


@register("sft", "none")
@dataclass(frozen=True)
class NoSFT:
    """The model is aligned as it is."""

    merges: ClassVar[bool] = False
    stage: ClassVar[bool] = False  # no stage before
    parallel: ClassVar[bool] = False
    needs: ClassVar[frozenset[str]] = frozenset()
    reads_prompt: ClassVar[bool] = False
    preference_weight: ClassVar[float] = 1.0
    weight: ClassVar[float] = 0.0

    def term(self, logp_BKT: Tensor, prompt_logp_BP: Tensor | None, batch: Batch) -> None:
        """No term beside the objective."""
        return None
