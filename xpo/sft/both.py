"""A stage before, and a likelihood term beside the objective."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from xpo.registry import register
from xpo.sft.merged import Merged
from xpo.sft.separate import Separate


@register("sft", "both")
@dataclass(frozen=True)
class Both(Merged):
    """Supervised fine-tuning as sft=separate has it, then its likelihood goes on as sft=merged has it.

    PPO-ptx: Ouyang et al. 2022, arXiv 2203.02155, equation 2. ``lr``, ``epochs``, ``steps`` and
    ``batch_size`` are the stage's.
    """

    stage: ClassVar[bool] = True
    requires: ClassVar[str] = Separate.requires

    lr: float = 1e-4
    epochs: float = 1.0
    steps: int | None = None
    batch_size: int = 32

    def __post_init__(self) -> None:
        super().__post_init__()
        assert self.recipe is not None, "raises for values out of range"

    @property
    def recipe(self) -> Separate:
        """How the stage trains: what its weights depend on."""
        return Separate(self.lr, self.epochs, self.steps, self.batch_size)
