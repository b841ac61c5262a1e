"""Nothing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from xpo.registry import register
from xpo.scoring.token_statistics import TokenStatistic


@register("anchor", "none")
@dataclass(frozen=True)
class NoAnchor:
    """The objective alone."""

    applies: ClassVar[bool] = False
    needs: ClassVar[frozenset[str]] = frozenset()
    needs_rivals: ClassVar[bool] = False  # samples of another player
    needs_reference: ClassVar[bool] = False
    reads_reward: ClassVar[bool] = False  # what the objective eats
    reads_tokens: ClassVar[bool] = False  # next-token distributions
    difference: ClassVar[bool] = True  # unchanged when c(x) is added to all rewards of a prompt
    token_statistics: ClassVar[tuple[TokenStatistic, ...]] = ()
