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
    needs_reference: ClassVar[bool] = False
    token_statistics: ClassVar[tuple[TokenStatistic, ...]] = ()
