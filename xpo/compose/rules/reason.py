"""What a rule gives: why a combination means nothing."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from xpo.compose.composition import Composition


@dataclass(frozen=True)
class Reason:
    """Why a combination means nothing, and the groups of which one has to change."""

    text: str
    groups: tuple[str, ...]
    fix: tuple[str, ...] = ()  # the nearest combination, where it is no change of options
    searched: bool = True  # without a fix: whether another option of the groups may be one


Rule = Callable[[Composition], Reason | None]
