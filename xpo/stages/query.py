"""Labels by a budget: what is sent to the annotator in each round, and what is not."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from xpo.contracts import Row
from xpo.data.build import check_rows
from xpo.data.counts import Counts, table
from xpo.data.pool import Pool
from xpo.errors import UserError
from xpo.on_policy.experience import Rollout
from xpo.reference.prepared import Prepared
from xpo.run.files import output_folder
from xpo.run.ranks import distributed, rank, rows_from_all_ranks
from xpo.run.say import say
from xpo.run.state import load_state, round_fix
from xpo.stages.alignment import Alignment
from xpo.stages.chooser import Chooser
from xpo.stages.source import Rows


def queried(alignment: Alignment, pool: Pool | None) -> Alignment:
    """The alignment, each of whose rounds has its share labelled: of a pool, or of what is sampled."""
    chooser = Chooser(alignment)
    if pool is not None:
        return dataclasses.replace(alignment, renew=Queried(chooser, pool))
    renew: Any = alignment.renew
    return dataclasses.replace(alignment, renew=dataclasses.replace(renew, chooser=chooser))


@dataclass(frozen=True)
class Queried:
    """``queried(number, reference)``: the rows labelled in earlier rounds, and those of this one.

    What is chosen is kept beside the checkpoints before anybody is asked, and the rows when they are
    labelled, so that a run that is taken up again asks nobody twice.
    """

    chooser: Chooser
    pool: Pool

    def __call__(self, number: int, reference: Prepared | None) -> Rows:
        earlier = [self._kept(n, ("places", "rollout")) for n in range(1, number)]
        resumes = self.chooser.alignment.setting.composition.trainer.resume == "auto"
        now: dict[str, Any] = {}
        if resumes and self._path(number).is_file():
            now = self._kept(number, ("places",))
        if not now:
            taken = {place for saved in earlier for place in saved["places"]}
            now = {"places": self._chosen(taken, number, reference)}
            _save(self._path(number), now)
        if "rollout" not in now:
            now |= self._labelled(now["places"], number)
            _save(self._path(number), now)
        rows = [row for saved in (*earlier, now) for row in Rollout.of(saved["rollout"]).rows]
        self._tell(number, sum(len(saved["places"]) for saved in (*earlier, now)), rows)
        return Rows(rows, self.pool.test, limits=self.pool.limits)

    def _chosen(self, taken: set[int], number: int, reference: Prepared | None) -> list[int]:
        """Places in the pool. ``UserError`` for one that is empty before the last round has its share."""
        c, size = self.chooser.alignment.setting.composition, len(self.pool.candidates)
        if c.query.budget * c.schedule.rounds > size:
            raise UserError(
                f"query.budget={c.query.budget} in {c.schedule.rounds} rounds are "
                f"{c.query.budget * c.schedule.rounds} labels, and {size} rows can be labelled: lower "
                f"query.budget to {size // c.schedule.rounds} at most, or have all labelled (query=all)"
            )
        left = [place for place in range(size) if place not in taken]
        candidates = self.pool.candidates
        chosen = self.chooser(
            [candidates[place] for place in left],
            [candidates[place] for place in sorted(taken)],
            number,
            reference,
        )
        return [left[place] for place in chosen]

    def _labelled(self, places: Sequence[int], number: int) -> dict[str, Any]:
        """What becomes of these records; each rank has its share labelled."""
        ranks = self.chooser.alignment.ranks[1] if distributed() else 1
        at = rank() if ranks > 1 else 0
        first, end = (len(places) * share // ranks for share in (at, at + 1))
        rows, counts = self.pool.rows(
            [self.pool.records[place] for place in places[first:end]], f"round {number}", first
        )
        say(table({f"labels of round {number}": counts}))
        parts = [rows] if ranks == 1 else rows_from_all_ranks({at: rows})
        return {"rollout": Rollout([row for part in parts for row in part]).state()}

    def _tell(self, number: int, labels: int, rows: Sequence[Row]) -> None:
        alignment = self.chooser.alignment
        setting, counts = alignment.setting, Counts(read=labels, kept=len(rows))
        check_rows("train", rows, counts, alignment.arrow.needs)
        setting.log.log({"labels": float(labels), "rows": float(len(rows))}, 0, f"label-{number}")
        setting.manifest.record(dropped_rows={"labelled": counts.as_dict()})

    def _kept(self, number: int, keys: Sequence[str]) -> dict[str, Any]:
        """What a round chose and, of a round that has been, what was labelled."""

        def read(found: Any) -> dict[str, Any]:
            missing = [key for key in keys if key not in found]
            if missing:
                raise KeyError(missing[0])
            return dict(found)

        return load_state(self._path(number), round_fix(number), read)

    def _path(self, number: int) -> Path:
        return self.chooser.alignment.setting.checkpoints / f"labels-{number:03d}.pt"


def _save(path: Path, state: dict[str, Any]) -> None:
    if rank() != 0:
        return
    output_folder(path.parent)
    partial = path.with_suffix(".partial")
    torch.save(state, partial)
    os.replace(partial, path)
