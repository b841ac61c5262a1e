"""Who judges a policy beside whom it was trained against, and the ratings of its rounds by that judge."""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import Any

from xpo.annotator.ratings import bradley_terry
from xpo.on_policy.collect import Clock, Collector
from xpo.run.files import output_folder, write_text
from xpo.run.ranks import rank
from xpo.run.state import ANEW, load_json
from xpo.stages.reward_first import held_out
from xpo.stages.sampler import drawing
from xpo.stages.setting import Setting

SAMPLES = 64
"""At least so many are judged, of held-out prompts or, where there is none, of training prompts."""
RIDGE = 0.01
"""Of ratings: two who never lost to each other would be endlessly far apart."""


@dataclass(frozen=True)
class Watch:
    """``judge`` (an annotator that scores) was not trained against; ``drawer`` draws from the policy alone.

    ``collector`` is the run's own, with the annotator that is trained against.
    """

    judge: Any
    drawer: Collector
    collector: Collector

    def scores(self) -> dict[str, float]:
        """``eval/train_score`` and ``eval/held_out_score``: mean scores of the same samples.

        Bai et al. 2022, arXiv 2204.05862, section 4.2: where the first still rises and the second does not,
        the policy learns what its reward model gets wrong. Offsets are taken off: demonstrations are at 0
        for both.
        """
        records = self._drawn()
        own, others = (self._said(who, records) for who in (self.collector.parts.annotator, self.judge))
        return {"eval/train_score": _mean(own), "eval/held_out_score": _mean(others)}

    def played(self) -> list[float]:
        """What the judge says of the policy's samples, the same prompts in the same order each time."""
        return self._said(self.judge, self._drawn())

    def _drawn(self) -> list[Any]:
        drawer = self.drawer
        prompts = drawer.prompts.test or drawer.prompts.train[:SAMPLES]
        prompts = prompts[: drawer.parts.eval.rows]
        drawer.renew()
        drawn = drawer.drawn(prompts, "held out", -(-SAMPLES // len(prompts)))
        said = drawer.prompts.said
        return [
            said(prompt, [response])
            for prompt, responses in zip(prompts, drawn.responses, strict=True)
            for response in responses
        ]

    def _said(self, annotator: Any, records: Sequence[Any]) -> list[float]:
        desk = dataclasses.replace(self.drawer.desk, policy=self.drawer.policy, passing=True)
        return [float(record.scores[0]) for record in annotator(records, desk)]


@dataclass(frozen=True)
class Ratings:
    """``ratings.add(number)``: Elo of the policy after a round, above the initial one's, from all games.

    Each policy's samples play those of every other one for the same prompts; one of score s wins against one
    of score t with probability sigmoid(s - t). Bai et al. 2022, arXiv 2204.05862, section 4.5. ``path`` keeps
    the scores, so that a resumed run agrees.
    """

    watch: Watch
    path: Path

    def begin(self, number: int = 1) -> None:
        """Let the initial policy play before the first round, unless it has.

        Raises ``OutputError`` before a later one where somebody who has played is not known any more.
        """
        if number == 1 and not self.path.is_file():
            self._keep({0: self.watch.played()})
        elif rank() == 0:  # who writes it
            self._known(number)

    def add(self, number: int) -> dict[str, float]:
        """After the round of that number; those of rounds that are done again are forgotten."""
        kept = self._known(number)
        kept[number] = self.watch.played()
        self._keep(kept)
        return {"rounds/elo": elo(list(kept.values()))[-1]}

    def _known(self, number: int) -> dict[int, list[float]]:
        """The scores of all policies before a round's, the initial one's first."""
        return load_json(self.path, ANEW.capitalize(), lambda found: _scores(found, number))

    def _keep(self, scores: dict[int, list[float]]) -> None:
        if rank() == 0:
            output_folder(self.path.parent)
            write_text(self.path, json.dumps(scores))


def _scores(found: Any, number: int) -> dict[int, list[float]]:
    scores = {n: [float(score) for score in found[str(n)]] for n in range(number)}
    if len({len(one) for one in scores.values()}) > 1:
        raise ValueError("policies have played different numbers of games")
    return scores


def elo(scores: Sequence[Sequence[float]]) -> list[float]:
    """Ratings above the first one's, of players whose answers to the same prompts have these scores."""
    games = [
        (i, j, _wins(one - other))
        for i, j in combinations(range(len(scores)), 2)
        for one, other in zip(scores[i], scores[j], strict=True)
    ]
    ratings = bradley_terry(games, len(scores), RIDGE)
    return (ratings - ratings[0]).tolist()


def watch_of(setting: Setting, collector: Collector) -> Watch | None:
    """By the reward model that is held out, or by the gold world's rewards; None where there is neither."""
    first, annotator = setting.first, collector.parts.annotator
    drawer = dataclasses.replace(collector, clock=Clock(), counts={})
    drawing(drawer, None)
    if first is not None and first.annotator.held_out:
        return Watch(held_out(setting.checkpoints.parent), drawer, collector)
    if annotator.label_model is None or collector.parts.reward_form.reads != "scores":
        return None
    return Watch(dataclasses.replace(annotator, exact=True, seed=0), drawer, collector)


def _wins(lead: float) -> float:
    return 0.5 * (1 + math.tanh(lead / 2))


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)
