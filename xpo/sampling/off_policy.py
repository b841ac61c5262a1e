"""Responses as the data has them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from xpo.registry import register


@register("sampling", "off_policy")
@dataclass(frozen=True)
class OffPolicy:
    """The gradient is taken on the responses of the data set; nothing is sampled during training."""

    samples: ClassVar[bool] = False
    weight: ClassVar[float] = 0.0  # of the reference, beside the policy
    by_policy: ClassVar[bool] = False  # what is trained on is distributed as what the policy says
    by_order: ClassVar[bool] = False  # which responses stay depends on the order of a prompt's alone
    by_round: ClassVar[str] = ""  # its key that holds a value for each round
    resample: ClassVar[int] = 0  # times that others take the place of prompts whose samples are alike
    rivals: ClassVar[int] = 0  # responses of another player beside the policy's
    mix: ClassVar[float] = 0.0  # of the reference in that player
    average: ClassVar[float | None] = None  # how slowly that player follows the policy
    converses: ClassVar[bool] = False  # who answers is told something in words
    rates: ClassVar[frozenset[str]] = frozenset()  # what is said of samples in the annotator's place
    reads: ClassVar[tuple[tuple[str, str], ...]] = ()  # key and path of saved models beside the policy
    idle: ClassVar[tuple[str, ...]] = ()  # keys that change nothing as the others are
    given: ClassVar[str] = "none"  # which response of the data stands beside samples
    reads_values: ClassVar[bool] = False  # which responses stay depends on what they are worth
