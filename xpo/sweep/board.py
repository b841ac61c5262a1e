"""A sweep's state: the rows so far, on disk as they come, as a table at the end."""

from __future__ import annotations

import sys
from pathlib import Path

from xpo.sweep.grid import Cell
from xpo.sweep.rows import Row, append, as_dict

FAILED, WAITING, INTERRUPTED = 1, 3, 130


class Board:
    """Collects rows, appends each to ``sweep.jsonl`` at once, says what is going on."""

    def __init__(self, folder: Path, cells: int) -> None:
        self.folder, self.cells, self.rows = folder, cells, []
        folder.mkdir(parents=True, exist_ok=True)
        self._file = folder / "sweep.jsonl"
        self._file.write_text("", encoding="utf-8")

    rows: list[Row]

    def folder_of(self, cell: Cell) -> Path:
        return self.folder / cell.name

    def has(self, cell: Cell) -> bool:
        return any(item.cell == cell.number for item in self.rows)

    def begins(self, cell: Cell) -> None:
        print(f"[{cell.number + 1}/{self.cells}] {' '.join(cell.swept)}", file=sys.stderr, flush=True)

    def add(self, item: Row) -> None:
        self.rows.append(item)
        append(self._file, item)
        note = f": {item.reason}" if item.reason else ""
        what = " ".join(f"{key}={value}" for key, value in item.settings.items())
        print(f"[{item.cell + 1}/{self.cells}] {what} {item.status}{note}", file=sys.stderr, flush=True)

    def finish(self) -> None:
        """The table of all cells, in the grid's order, and where everything lies."""
        from xpo.run.console import render_sweep

        self.rows.sort(key=lambda item: item.cell)
        print(render_sweep([as_dict(item) for item in self.rows]))
        print(f"all cells: {self._file}")

    @property
    def exit_code(self) -> int:
        states = {item.status for item in self.rows}
        if "interrupted" in states or "not run" in states:
            return INTERRUPTED
        if "failed" in states:
            return FAILED
        return WAITING if "waiting" in states else 0
