"""Several reward models at once, each with its weight and its place."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

from xpo.annotator.base import Desk, Labeller, Verdict
from xpo.compose.errors import ConfigError
from xpo.data.record import Record
from xpo.registry import register
from xpo.reward_model.ask import hash_of, load, scores_alone, tell_cuts
from xpo.reward_model.saved import TOKENS
from xpo.reward_model.worth import Parts, worth

KEY = "annotator.models"
KEYS = {"path": None, "weight": 1.0, "mean": 0.0, "std": 1.0}


@dataclass(frozen=True)
class Member:
    """A model's folder, and what is made of its numbers: weight (x - mean) / std."""

    path: str
    weight: float = 1.0
    mean: float = 0.0
    std: float = 1.0

    def of(self, parts: Parts) -> Parts:
        return tuple((end, self.weight * (value - self.mean) / self.std) for end, value in parts)


@register("annotator", "weighted")
@dataclass(frozen=True)
class Weighted(Labeller):
    """Fine-grained rewards: the weighted sum over models of what each says, where it says it.

    Wu et al. 2023 (Fine-Grained RLHF), arXiv 2306.01693, equation 1. ``models`` is a list of {path, weight,
    mean, std}: weight (x - mean) / std of a model of whole responses stands at their end, that of a model of
    steps or spans (x is the probability that a part is right; the paper has +-1) at the end of each part.
    The score of a response is the sum. Parts that end at the same place add up (the paper's code keeps the
    last). Raises ``ValueError`` for other keys, ``UserError`` for a model of pairs.
    """

    gives: ClassVar[frozenset[str]] = frozenset({"comparisons", "labels", "scores"})
    judges_parts: ClassVar[bool] = True

    models: tuple[dict[str, Any], ...] = field(default=(), hash=False)
    tokens: int = TOKENS

    def __post_init__(self) -> None:
        if not self.models:
            raise ValueError("models is empty: annotator.models='[{path: outputs/a/model, weight: 0.3}]'")
        if self.tokens < 1:
            raise ValueError(f"tokens must be at least 1, got {self.tokens}")
        for member in self.members:
            scores_alone(member.path, KEY)

    @property
    def members(self) -> tuple[Member, ...]:
        return tuple(_member(place, dict(entry)) for place, entry in enumerate(self.models))

    @property
    def reads(self) -> Sequence[tuple[str, str]]:
        """Which models."""
        return tuple((KEY, member.path) for member in self.members)

    def fingerprint(self, desk: Desk) -> str:
        """The models' hashes, and what is made of them."""
        told = [(hash_of(m.path, KEY), m.weight, m.mean, m.std) for m in self.members]
        return repr((type(self).__name__, told))

    def judge(self, records: Sequence[Record], desk: Desk) -> Iterator[Verdict]:
        """Scores and parts; ``why`` has what each model's parts come to."""
        models = [load(member.path, KEY, pairs=False) for member in self.members]
        for said in zip(*(worth(model, records, self.tokens) for model in models), strict=True):
            weighed = [
                [member.of(parts) for parts in responses]
                for member, responses in zip(self.members, said, strict=True)
            ]
            parts = tuple(_merged(own) for own in zip(*weighed, strict=True))
            yield Verdict(
                scores=tuple(sum(value for _, value in row) for row in parts),
                parts=parts,
                why=[[sum(value for _, value in row) for row in rows] for rows in weighed],
            )
        if not desk.passing:
            tell_cuts(models, [member.path for member in self.members])


def _merged(rows: Sequence[Parts]) -> Parts:
    found: dict[int, float] = {}
    for end, value in (part for row in rows for part in row):
        found[end] = found.get(end, 0.0) + value
    return tuple(sorted(found.items()))


def _member(place: int, entry: dict[str, Any]) -> Member:
    unknown = sorted(set(entry) - set(KEYS))
    if unknown or not isinstance(entry.get("path"), str):
        raise ConfigError(f"models[{place}] is {{path, weight, mean, std}}, got {entry!r:.80}")
    numbers = {key: entry.get(key, KEYS[key]) for key in ("weight", "mean", "std")}
    for key, value in numbers.items():
        if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
            raise ConfigError(f"models[{place}]: {key} must be a finite number, got {value!r}")
    if numbers["std"] <= 0 or not numbers["weight"]:
        raise ConfigError(f"models[{place}]: std must be above 0 and weight not 0, got {numbers}")
    return Member(entry["path"], **{key: float(value) for key, value in numbers.items()})
