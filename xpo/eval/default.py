"""Evaluation: how often, on how many rows, and the generations of samples.jsonl."""

from __future__ import annotations

from dataclasses import dataclass

from xpo.registry import register


@register("eval", "default")
@dataclass(frozen=True)
class Default:
    """Before the first step, every ``every`` optimizer steps (null: never between), and at the end.

    ``rows`` held-out rows at most (null: all). ``samples`` held-out prompts are answered before and
    after training, once greedily and once at ``temperature`` and ``top_p``. With reward_level=token the
    rewards of the tokens of ``token_rewards`` held-out rows are written (null: of all).
    """

    every: int | None = None
    rows: int | None = None
    samples: int = 4
    max_new_tokens: int = 64
    temperature: float = 1.0
    top_p: float = 1.0
    token_rewards: int | None = 256

    def __post_init__(self) -> None:
        for name in ("every", "rows", "max_new_tokens", "token_rewards"):
            value = self.__dict__[name]
            if value is not None and value < 1:
                raise ValueError(f"{name} must be at least 1, got {value}")
        if self.samples < 0:
            raise ValueError(f"samples must be 0 or above, got {self.samples}")
        if not self.temperature > 0:
            raise ValueError(
                f"temperature must be above 0, got {self.temperature}: greedy answers come anyway"
            )
        if not 0 < self.top_p <= 1:
            raise ValueError(f"top_p must be above 0 and at most 1, got {self.top_p}")
