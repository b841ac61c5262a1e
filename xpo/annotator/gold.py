"""The gold world's own labeller."""

from __future__ import annotations

import dataclasses
import random
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from math import exp, log
from typing import ClassVar

from xpo.annotator.base import Desk
from xpo.contracts import FEEDBACK
from xpo.data.record import Record
from xpo.registry import register


@register("annotator", "gold")
@dataclass(frozen=True)
class Gold:
    """Labels drawn from the known reward: Bradley-Terry for pairs, Plackett-Luce for lists.

    Records bring the exact rewards as ``scores``. The labeller's own scores are those plus independent
    Gumbel noise; their order is then a Plackett-Luce draw, for two P(i beats j) = sigmoid(r_i - r_j)
    (Yellott 1977, J. Math. Psych. 15). A response is good with probability sigmoid(r - the mean reward of
    its prompt's responses). ``noise`` is the probability that a record's order, or a label, is the
    opposite. ``seed`` draws the labels. Raises ``ValueError`` for records without scores.
    """

    gives: ClassVar[frozenset[str]] = FEEDBACK
    needs: ClassVar[frozenset[str]] = frozenset({"gold rewards"})
    needs_policy: ClassVar[bool] = False

    noise: float = 0.0
    seed: int = 0

    def __post_init__(self) -> None:
        if not 0 <= self.noise < 0.5:
            raise ValueError(
                f"noise must be from 0 to below 0.5, got {self.noise} (0.5 is labels without information)"
            )

    def __call__(self, records: Sequence[Record], desk: Desk | None = None) -> list[Record]:
        draw = random.Random(self.seed)
        baseline = _baselines(records)
        return [self._labelled(record, baseline[str(record.prompt)], draw) for record in records]

    def _labelled(self, record: Record, baseline: float, draw: random.Random) -> Record:
        rewards = _rewards(record)
        utilities = [
            reward - log(draw.expovariate(1.0)) for reward in rewards
        ]  # -log of an exponential is Gumbel
        if draw.random() < self.noise:
            utilities = [-utility for utility in utilities]
        labels = [(draw.random() < _sigmoid(r - baseline)) != (draw.random() < self.noise) for r in rewards]
        wins = tuple(tuple(self._flipped(_sigmoid(a - b)) for b in rewards) for a in rewards)
        return dataclasses.replace(record, scores=tuple(utilities), labels=tuple(labels), wins=wins)

    def _flipped(self, probability: float) -> float:
        return (1 - self.noise) * probability + self.noise * (1 - probability)


def _baselines(records: Sequence[Record]) -> dict[str, float]:
    """Mean reward of each prompt's responses: an estimate of E_ref r, as they were drawn from ref."""
    rewards: dict[str, list[float]] = defaultdict(list)
    for record in records:
        rewards[str(record.prompt)] += _rewards(record)
    return {prompt: sum(values) / len(values) for prompt, values in rewards.items()}


def _rewards(record: Record) -> tuple[float, ...]:
    if record.scores is None:
        raise ValueError(
            f"{record.where}: annotator=gold labels responses whose known reward is given as scores"
        )
    return record.scores


def _sigmoid(x: float) -> float:
    return 1 / (1 + exp(-x)) if x >= 0 else exp(x) / (1 + exp(x))
