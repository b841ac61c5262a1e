"""The neutral option of the group, as other groups have it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from xpo.registry import register
from xpo.run.log import RunInfo, Sink


@register("logger", "none")
@dataclass(frozen=True)
class Nothing:
    """No logger of any service; ``metrics.jsonl`` is written all the same."""

    def open(self, run: RunInfo) -> Iterable[Sink]:
        return ()
