"""No logger beside ``metrics.jsonl``."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from xpo.registry import register
from xpo.run.log import RunInfo, Sink


@register("logger", "jsonl")
@dataclass(frozen=True)
class Jsonl:
    """``metrics.jsonl`` alone, which every run writes."""

    def open(self, run: RunInfo) -> Iterable[Sink]:
        return ()
