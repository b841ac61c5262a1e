"""Which comparisons a reward model learns that is trained for a policy: half of them, or more of them."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from xpo.contracts import Row
from xpo.errors import UserError
from xpo.stages.source import Rows

Take = Callable[[Rows], Rows]
"""What becomes of a run's rows before they are trained on."""


@dataclass(frozen=True)
class Comparisons:
    """The training rows or a ``half`` of them (0 or 1), and ``more`` beside them; held-out rows stay.

    Halves are by a hash of tokens: equal comparisons are in one half. Raises ``UserError`` for rows that
    cannot be halved.
    """

    half: int | None = None
    more: Sequence[Row] = ()

    def __call__(self, rows: Rows) -> Rows:
        train = rows.train if self.half is None else self._halved(rows)
        return dataclasses.replace(rows, train=[*train, *self.more])

    @property
    def told(self) -> str:
        """For the config of a run that learns them."""
        kept = "all" if self.half is None else f"half {self.half}"
        return f"{kept} and {len(self.more)} more" if self.more else kept

    def _halved(self, rows: Rows) -> list[Row]:
        if rows.population:
            raise UserError(
                "annotator.held_out=true halves the comparisons, and a population has one row for each "
                "prompt: give the reward model's run drawn ones (annotator.overrides), or "
                "annotator.held_out=false"
            )
        train = [row for row in rows.train if _side(row) == self.half]
        if not train:
            raise UserError(
                f"annotator.held_out=true halves the comparisons, and of {len(rows.train)} none is left for "
                "one side: give more, or annotator.held_out=false"
            )
        return train


def _side(row: Row) -> int:
    """The same whichever response stands first."""
    tokens = [list(row.prompt), *sorted(list(response) for response in row.responses)]
    return hashlib.sha256(repr(tokens).encode()).digest()[0] & 1
