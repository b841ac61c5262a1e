"""The policy's own responses."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from xpo.registry import register
from xpo.sampling.base import Sampled


@register("sampling", "on_policy")
@dataclass(frozen=True)
class OnPolicy(Sampled):
    """All of them are trained on.

    Where all responses of a prompt have the same score, nothing can be learnt from a comparison: another
    prompt takes its place, up to ``resample`` times a rollout's prompts (0: it stays). Yu et al. 2025 (DAPO),
    arXiv 2503.14476, section 3.2, without a cap there.
    """

    by_policy: ClassVar[bool] = True
    reads_values: ClassVar[bool] = False  # which responses stay depends on what they are worth

    resample: int = 0

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.resample < 0:
            raise ValueError(f"resample must be at least 0, got {self.resample}")
        if self.resample and self.responses < 2:
            raise ValueError(f"resample={self.resample} compares responses: responses must be at least 2")
