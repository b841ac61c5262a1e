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
from xpo.gold.labels import LabelModel
from xpo.registry import register


@register("annotator", "gold")
@dataclass(frozen=True)
class Gold:
    """Labels drawn from the known reward: Bradley-Terry for pairs, Plackett-Luce for lists.

    Records bring exact utilities as ``scores``, and as ``margins`` how much better each response is than the
    others: ``xpo.gold.labels.LabelModel`` says what of, and what the settings do. The labeller's own scores
    are those plus independent Gumbel noise over ``scale``; their order is then a Plackett-Luce draw, for two
    P(i beats j) = sigmoid(scale (u_i - u_j)) (Yellott 1977, J. Math. Psych. 15). Of two the cyclic term moves
    the scores apart, and a tie makes them equal; of more only ``wins``, which are exact, tell of either. A
    response is good with probability sigmoid(scale (u - the mean of its prompt's responses)). ``noise`` is
    the probability that a record's order, or a label, is the opposite. ``seed`` draws the labels.

    With ``exact`` nothing is drawn: scores are the utilities themselves, a response is good where that is
    likelier than not, nothing ties; ``noise``, ``ties`` and ``intransitivity`` are in ``wins`` alone. Costs
    stay what the records bring. Raises ``ValueError`` for records without scores.
    """

    gives: ClassVar[frozenset[str]] = FEEDBACK
    needs: ClassVar[frozenset[str]] = frozenset({"gold rewards"})
    needs_policy: ClassVar[bool] = False
    quadratic: ClassVar[bool] = False
    compares: ClassVar[bool] = False  # it says nothing of a response alone
    of_data: ClassVar[bool] = True  # what the data say of their own responses
    judges_parts: ClassVar[bool] = True  # verdicts say what parts of responses are worth
    cuts_scores: ClassVar[bool] = False  # a threshold of its own says which responses are good
    first: ClassVar[bool] = False  # something is trained before it can label

    noise: float = 0.0
    seed: int = 0
    ties: float = 0.0
    length_bias: float = 0.0
    intransitivity: float = 0.0
    scale: float = 1.0
    exact: bool = False

    def __post_init__(self) -> None:
        if self.exact and self.seed:
            raise ValueError(f"exact=true draws nothing, so that seed={self.seed} is not read: set it to 0")
        assert self.label_model is not None, "raises for values out of range"

    @property
    def label_model(self) -> LabelModel:
        """What the labels are drawn from."""
        return LabelModel(
            self.noise, self.ties, self.length_bias, self.intransitivity, self.scale, self.exact
        )

    def fingerprint(self, desk: Desk) -> str:
        """The settings that say something."""
        told = {"noise": self.noise, "seed": self.seed} | self.label_model.changed()
        return f"Gold({', '.join(f'{name}={value!r}' for name, value in told.items())})"

    def __call__(self, records: Sequence[Record], desk: Desk | None = None) -> list[Record]:
        baseline = _baselines(records)
        if desk is None or not desk.draw:
            draws = [random.Random(self.seed)] * len(records)
        else:  # each sample's own, whoever labels its neighbours
            places = range(desk.first, desk.first + len(records))
            draws = [random.Random(f"{self.seed}/{desk.draw}/{place}") for place in places]
        return [
            self._labelled(record, baseline[str(record.prompt)], draw)
            for record, draw in zip(records, draws, strict=True)
        ]

    def _labelled(self, record: Record, baseline: float, draw: random.Random) -> Record:
        wins = tuple(tuple(self._win(margin) for margin in row) for row in _margins(record))
        if self.exact:
            utilities = _utilities(record)
            labels = tuple(u > baseline for u in utilities)
            return dataclasses.replace(record, scores=utilities, labels=labels, wins=wins)
        scores, labels = self._drawn(record, baseline, draw)
        return dataclasses.replace(record, scores=scores, labels=labels, wins=wins)

    def _drawn(
        self, record: Record, baseline: float, draw: random.Random
    ) -> tuple[tuple[float, ...], tuple[bool, ...]]:
        """Scores whose order is a draw, and labels that are."""
        utilities, margins = _utilities(record), _margins(record)
        scores = [
            utility - log(draw.expovariate(1.0)) / self.scale for utility in utilities
        ]  # -log of an exponential is Gumbel
        if len(scores) == 2:
            cyclic = margins[0][1] - (utilities[0] - utilities[1])
            scores = [scores[0] + cyclic / 2, scores[1] - cyclic / 2]
        if draw.random() < self.noise:
            scores = [-score for score in scores]
        labels = [
            (draw.random() < _sigmoid(self.scale * (u - baseline))) != (draw.random() < self.noise)
            for u in utilities
        ]
        if self.ties and len(scores) == 2 and draw.random() < self._tie(margins[0][1]):
            scores = [sum(scores) / 2] * 2
        return tuple(scores), tuple(labels)

    def _win(self, margin: float) -> float:
        """Exactly; a tie is half a win."""
        probability, tie = _sigmoid(self.scale * margin), self._tie(margin)
        decided = (1 - self.noise) * probability + self.noise * (1 - probability)
        return decided * (1 - tie) + tie / 2

    def _tie(self, margin: float) -> float:
        apart = exp(-abs(self.scale * margin) / 2)
        return self.ties * apart / (self.ties * apart + 1 + apart * apart)


def _baselines(records: Sequence[Record]) -> dict[str, float]:
    """Mean reward of each prompt's responses: an estimate of E_ref r, as they were drawn from ref."""
    rewards: dict[str, list[float]] = defaultdict(list)
    for record in records:
        rewards[str(record.prompt)] += _utilities(record)
    return {prompt: sum(values) / len(values) for prompt, values in rewards.items()}


def _utilities(record: Record) -> tuple[float, ...]:
    if record.scores is None:
        raise ValueError(
            f"{record.where}: annotator=gold labels responses whose known reward is given as scores"
        )
    return record.scores


def _margins(record: Record) -> tuple[tuple[float, ...], ...]:
    if record.margins is not None:
        return record.margins
    utilities = _utilities(record)
    return tuple(tuple(a - b for b in utilities) for a in utilities)


def _sigmoid(x: float) -> float:
    return 1 / (1 + exp(-x)) if x >= 0 else exp(x) / (1 + exp(x))
