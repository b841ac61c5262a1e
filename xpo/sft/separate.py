"""A stage of supervised fine-tuning before the alignment."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from xpo.contracts import Batch
from xpo.registry import register


@register("sft", "separate")
@dataclass(frozen=True)
class Separate:
    """The stage runs if demonstrations are given or the model is untrained. It ends after ``steps``
    optimizer steps, or where that is null after ``epochs``. ``lr`` is its own peak learning rate."""

    merges: ClassVar[bool] = False
    stage: ClassVar[bool] = True
    parallel: ClassVar[bool] = False  # beside the alignment, not before it
    needs: ClassVar[frozenset[str]] = frozenset()
    requires: ClassVar[str] = (
        "a stage of supervised fine-tuning before (untrained model, or demonstrations given)"
    )
    reads_prompt: ClassVar[bool] = False
    preference_weight: ClassVar[float] = 1.0
    weight: ClassVar[float] = 0.0

    lr: float = 1e-4
    epochs: float = 1.0
    steps: int | None = None
    batch_size: int = 32

    def __post_init__(self) -> None:
        for key in ("lr", "epochs", "batch_size"):
            if not 0 < self.__dict__[key] < float("inf"):
                raise ValueError(f"{key} must be above 0 and finite, got {self.__dict__[key]}")
        if self.steps is not None and self.steps < 1:
            raise ValueError(f"steps must be at least 1 or null, got {self.steps}")

    @property
    def recipe(self) -> Separate:
        """How the stage trains: what its weights depend on."""
        return self

    def term(self, logp_BKT: Tensor, prompt_logp_BP: Tensor | None, batch: Batch) -> None:
        """No term beside the objective: the stage is a run of its own."""
        return None
