"""A stage on other people's comparisons."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from xpo.registry import register
from xpo.sft.merged import Merged
from xpo.sft.none import NoSFT


@register("pretraining", "comparisons")
@dataclass(frozen=True)
class Comparisons:
    """Preference-model pre-training: trunk and head learn comparisons of other data before the run's own.

    Askell et al. 2021, arXiv 2112.00861; Bai et al. 2022, arXiv 2204.05862. The loss is
    Bradley-Terry's whatever the run's objective, plus ``imitation`` times the negative log-likelihood of the
    good responses (0: none), a mean over their tokens. The data bring the comparisons (``data.pretraining``;
    the gold world has its own). The stage ends after ``steps`` optimizer steps, or where that is null after
    ``epochs``; ``lr`` is its own peak rate. A finished stage is kept for other runs. Differs from the papers:
    scores are read at the end of whole responses, and no context is shared between the two of a pair.
    """

    applies: ClassVar[bool] = True

    lr: float = 1e-5
    epochs: float = 1.0
    steps: int | None = None
    batch_size: int = 32
    imitation: float = 1.0

    def __post_init__(self) -> None:
        for key in ("lr", "epochs", "batch_size"):
            if not 0 < self.__dict__[key] < float("inf"):
                raise ValueError(f"{key} must be above 0 and finite, got {self.__dict__[key]}")
        if self.steps is not None and self.steps < 1:
            raise ValueError(f"steps must be at least 1 or null, got {self.steps}")
        if not 0 <= self.imitation < float("inf"):
            raise ValueError(f"imitation must be 0 or more, and finite, got {self.imitation}")

    @property
    def likelihood(self) -> Merged | NoSFT:
        """The term beside the comparisons."""
        return Merged(weight=self.imitation) if self.imitation else NoSFT()
