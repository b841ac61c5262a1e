"""What the rounds of a run came to, kept for a run that is taken up again."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from xpo.errors import UserError
from xpo.run.files import output_folder, write_text
from xpo.run.ranks import rank
from xpo.run.state import ANEW, load_json
from xpo.stages.alignment import Alignment
from xpo.stages.fit import Evaluate

AFTER = ("rounds/", "gold/average/")
"""How metrics begin of the policies at the ends of rounds together."""


class History:
    """The final metrics of each round, in ``path``; those of the first ``done`` are there already.

    ``best``: the metric by which one of them is the result. Without it a lost file does no harm. Raises
    ``OutputError`` where it does, and for a damaged one.
    """

    def __init__(self, path: Path, done: int, best: str | None = None) -> None:
        self._path, self._best = path, best
        self.rounds: list[dict[str, float]] = []
        if done and (best is not None or path.is_file()):
            way = "take it away" if best is None else "take it away and set schedule.keep_best=null"
            fix = f"To go on without what earlier rounds came to, {way}; or {ANEW}"
            self.rounds = load_json(path, fix, lambda found: _first(found, done))
            self.check()
        elif done:
            self.rounds = [{} for _ in range(done)]

    def add(self, metrics: dict[str, float]) -> None:
        """Of the round that has just ended."""
        self.rounds.append(metrics)
        if rank() == 0:
            output_folder(self._path.parent)
            write_text(self._path, json.dumps(self.rounds, indent=1))

    def check(self) -> None:
        """``UserError`` where no round has the metric."""
        if self._best is not None and not any(self._best in metrics for metrics in self.rounds):
            raise unknown(self._best, self.rounds[-1])

    def best(self) -> int:
        """The number of the round in which the metric is highest, counted from 1; the later one of two.

        The last one where there is no such metric.
        """
        name = self._best
        if name is None:
            return len(self.rounds)
        known = {n: metrics[name] for n, metrics in enumerate(self.rounds, 1) if name in metrics}
        return max(known, key=lambda n: (known[n], n))


def named(alignment: Alignment, evaluate: Evaluate) -> Evaluate:
    """The evaluation, the first of which must have the metric by which a round is the result.

    Raises ``UserError`` before anything is trained, not when all rounds are. What only the end of a round
    tells is looked for there.
    """
    best = alignment.setting.composition.schedule.keep_best if alignment.turn.of > 1 else None
    if best is None or best.startswith(AFTER) or alignment.finish is not None:
        return evaluate
    seen: list[bool] = []

    def first() -> Mapping[str, float]:
        metrics = evaluate()
        if not seen and best not in metrics:
            raise unknown(best, metrics)
        seen.append(True)
        return metrics

    return first


def unknown(name: str, metrics: Mapping[str, float]) -> UserError:
    """What to say of a metric that is none of these."""
    return UserError(
        f"schedule.keep_best={name} is no metric of this run's rounds; they have {', '.join(sorted(metrics))}"
    )


def _first(found: Any, number: int) -> list[dict[str, float]]:
    """The metrics of so many rounds. ``ValueError`` where there are fewer."""
    if not isinstance(found, list) or not all(isinstance(metrics, dict) for metrics in found):
        raise TypeError("no list of metrics")
    if len(found) < number:
        raise ValueError(f"it has {len(found)} rounds, and {number} are done")
    return found[:number]
