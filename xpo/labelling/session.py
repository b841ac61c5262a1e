"""Labelling on a terminal: question after question, each answer on disk before the next one is asked."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.text import Text

from xpo.data.errors import DataError
from xpo.labelling.asked import Asked, objection_to, read_asked, write_asked
from xpo.labelling.keyboard import Keyboard
from xpo.labelling.shown import blind_order, question

_MOVES = {"s": "skip", "b": "back", "q": "quit"}
_MOST_KEYS = 9


@dataclass(frozen=True)
class Session:
    """One sitting of one person over the file ``path``."""

    path: Path
    seed: int
    console: Console
    keyboard: Keyboard

    def run(self) -> tuple[int, int]:
        """Ask until all is answered, or the person quits, or the input ends; (labelled, all)."""
        queue = [row.key for row in read_asked(self.path) if row.said is None]
        place = 0
        while place < len(queue):
            step = self._ask(queue[place])
            if step is None:
                break
            place = max(0, place + step)
        rows = read_asked(self.path)
        return sum(row.said is not None for row in rows), len(rows)

    def _ask(self, key: str) -> int | None:
        """Show one row and take an answer: how far to move on, None to end."""
        rows = read_asked(self.path)
        row = next((row for row in rows if row.key == key), None)
        if row is None:
            raise DataError(f"{self.path}: a row that waited for a label is gone from the file")
        order = blind_order(row, self.seed)
        self.console.print(question(row, order, _head(row, rows, order)))
        while True:
            self.console.print(Text(_help(row, self.keyboard)), end=" ")
            typed = self.keyboard.key() if _by_key(row, self.keyboard) else self.keyboard.line()
            if self.keyboard.single and typed is not None:
                self.console.print(Text(typed))
            if typed is None or typed.lower() == "q":
                return None
            if typed.lower() in _MOVES:
                return 1 if typed.lower() == "s" else -1
            said = understood(typed, row, order)
            if isinstance(said, str):
                self.console.print(Text(said))
                continue
            self._keep(key, said)
            return 1

    def _keep(self, key: str, said: Mapping[str, Any]) -> None:
        """The file is read anew, so that what was edited in it meanwhile stays."""
        rows = read_asked(self.path)
        write_asked(self.path, [dataclasses.replace(r, said=said) if r.key == key else r for r in rows])


def understood(typed: str, row: Asked, order: Sequence[int]) -> Mapping[str, Any] | str:
    """What was said, in the file's order of responses; else what is wrong with it."""
    words, size = typed.lower().split(), len(order)
    if "label" in row.ways and typed.lower() in ("g", "x"):
        return {"label": typed.lower() == "g"}
    if "choice" in row.ways and typed.lower() == "t":
        return {"choice": "tie"}
    if "choice" in row.ways and len(words) == 1 and words[0].isdecimal() and 1 <= int(words[0]) <= size:
        return {"choice": order[int(words[0]) - 1] + 1}
    if "scores" in row.ways and len(words) == size:
        return _scores(words, order)
    return f"{typed!r} is none of these"


def _scores(words: Sequence[str], order: Sequence[int]) -> Mapping[str, Any] | str:
    try:
        given = dict(zip(order, map(float, words), strict=True))
    except ValueError:
        return f"{' '.join(words)!r} are no numbers"
    said = {"scores": [given[place] for place in range(len(order))]}
    return objection_to(said, len(order)) or said


def _by_key(row: Asked, keyboard: Keyboard) -> bool:
    """Whether one key can say all that is asked for."""
    return keyboard.single and len(row.completions) <= _MOST_KEYS and row.ways[0] != "scores"


def _head(row: Asked, rows: Sequence[Asked], order: Sequence[int]) -> str:
    done = sum(row.said is not None for row in rows)
    return f"{done} of {len(rows)} labelled  {row.where}{_now(row, order)}"


def _now(row: Asked, order: Sequence[int]) -> str:
    """What was said of it before, in the order on the screen."""
    if row.said is None:
        return ""
    ((way, said),) = row.said.items()
    here: Any = said
    if way == "choice" and said != "tie":
        here = order.index(said - 1) + 1
    if way == "scores":
        here = [said[place] for place in order]
    return f"  ({way} so far: {here})"


def _help(row: Asked, keyboard: Keyboard) -> str:
    size = len(row.completions)
    said = []
    if "label" in row.ways:
        said.append("g good, x bad")
    if "choice" in row.ways:
        said.append(f"1-{size} the best, t tie")
    if "scores" in row.ways and not _by_key(row, keyboard):
        said.append("a score" if size == 1 else f"or {size} scores" if said else f"{size} scores")
    return f"[{', '.join([*said, *(f'{key} {what}' for key, what in _MOVES.items())])}]"
