"""A labeller that counts, in the place of one that needs a model: scores, wins, costs, parts of texts."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from xpo.annotator.base import Desk, Labeller
from xpo.annotator.verdict import Verdict
from xpo.compose import build
from xpo.contracts import FEEDBACK
from xpo.data.record import Record
from xpo.explain import presets as files
from xpo.revision.none import NoRevision
from xpo.stages.job import execute

NAMED = {
    "reward_model": ["annotator.path=x"],
    "preference_model": ["annotator.path=x"],
    "safety": ["annotator.helpfulness=x", "annotator.cost=y"],
    "weighted": ["annotator.models=[{path: x, weight: 1.0}]"],
}
"""What annotators ask for. Nothing of it is read: ``Counting`` labels."""


@dataclass(frozen=True)
class Counting(Labeller):
    """A response's worth is the sine of a sum over its characters; its cost, the cosine."""

    gives = FEEDBACK
    stored = False
    judges_parts = True

    def judge(self, records: Sequence[Record], desk: Desk) -> Iterator[Verdict]:
        for record in records:
            angles = [sum(map(ord, str(text))) for text in record.responses]
            scores = tuple(math.sin(angle) for angle in angles)
            wins = tuple(
                tuple(0.5 if i == j else 1 / (1 + math.exp(b - a)) for j, b in enumerate(scores))
                for i, a in enumerate(scores)
            )
            ends = [max(1, len(str(text))) for text in record.responses]
            parts = tuple(
                ((max(1, end // 2), score / 2), (end, score / 2))
                for end, score in zip(ends, scores, strict=True)
            )
            yield Verdict(scores, wins, costs=tuple(map(math.cos, angles)), parts=parts)


def asked(preset: str, rows: str = "x") -> list[str]:
    """What a preset, and the annotator that it names, ask for; ``rows`` is a file of comparisons."""
    read = files.read(preset)
    asks = [ask.format(path="x", rows=rows) for ask in read.asks]
    return [*NAMED.get(read.choices["annotator"], []), *asks]


def counted(config: dict[str, Any], out: Path) -> dict[str, float]:
    """A run in this process whose annotator counts, and revises nothing."""
    return execute(counting(build(config)), out)


def counting(c: Any) -> Any:
    """The composition with such an annotator."""
    return dataclasses.replace(c, annotator=Counting(), revision=NoRevision())
