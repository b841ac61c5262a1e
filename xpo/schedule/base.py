"""What schedules have in common that sample all along."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar


@dataclass(frozen=True)
class Rollouts:
    """Responses are sampled from the policy as it stands, labelled, trained on, and left.

    A rollout holds ``minibatches`` times trainer.batch_size prompts and is trained on ``epochs`` times: 1 and
    1 samples anew for every optimizer step.
    """

    refreshes: ClassVar[bool] = True
    online: ClassVar[bool] = True  # samples are renewed within an alignment
    chunks: ClassVar[bool] = False  # rounds train on different rows
    by_difficulty: ClassVar[bool] = False
    replay: ClassVar[int] = 0  # rounds whose samples are trained on again

    epochs: int = 1
    minibatches: int = 1

    def __post_init__(self) -> None:
        for name in ("epochs", "minibatches"):
            if self.__dict__[name] < 1:
                raise ValueError(f"{name} must be at least 1, got {self.__dict__[name]}")
