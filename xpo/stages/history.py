"""What the rounds of a run came to, kept for a run that is taken up again."""

from __future__ import annotations

import json
from pathlib import Path

from xpo.errors import UserError
from xpo.run.files import output_folder, write_text
from xpo.run.ranks import rank


class History:
    """The final metrics of each round, in ``path``; those of the first ``done`` are there already."""

    def __init__(self, path: Path, done: int) -> None:
        self._path = path
        self.rounds: list[dict[str, float]] = []
        if done:
            self.rounds = json.loads(path.read_text())[:done] if path.is_file() else [{}] * done

    def add(self, metrics: dict[str, float]) -> None:
        """Of the round that has just ended."""
        self.rounds.append(metrics)
        if rank() == 0:
            output_folder(self._path.parent)
            write_text(self._path, json.dumps(self.rounds, indent=1))

    def best(self, name: str) -> int:
        """The number of the round in which a metric is highest, counted from 1; the later one of two."""
        known = {n: metrics[name] for n, metrics in enumerate(self.rounds, 1) if name in metrics}
        if not known:
            raise UserError(
                f"schedule.keep_best={name} is no metric of this run's rounds; they have "
                f"{', '.join(sorted(self.rounds[-1]))}"
            )
        return max(known, key=lambda n: (known[n], n))
