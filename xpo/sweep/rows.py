"""What a sweep writes down about each cell, in ``sweep.jsonl`` and in the table at its end."""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from xpo.sweep.grid import Cell

Status = Literal["done", "refused", "failed", "waiting", "interrupted", "not run"]


@dataclass(frozen=True)
class Row:
    """One cell's outcome. ``settings`` is what varies over the sweep; ``metrics`` its summary.json."""

    cell: int
    settings: dict[str, str]
    overrides: tuple[str, ...]
    status: Status
    reason: str = ""  # one line: why it was refused or how it failed
    nearest: tuple[str, ...] = ()  # for a refused cell: overrides that work
    dir: str = ""  # the cell's folder; empty where nothing ran
    seconds: float = 0.0
    metrics: dict[str, Any] = field(default_factory=dict)


def row(cell: Cell, status: Status, **rest: Any) -> Row:
    """A cell's row."""
    return Row(cell.number, cell.settings, cell.overrides, status, **rest)


def as_dict(item: Row) -> dict[str, Any]:
    """A row as JSON has it, empty fields left out."""
    values = dataclasses.asdict(item)
    return {key: value for key, value in values.items() if value or key in ("cell", "settings", "status")}


def append(path: Path, item: Row) -> None:
    """Add one row to ``sweep.jsonl``; a line is written whole, so that a reader never sees half."""
    with path.open("a", encoding="utf-8") as file:
        file.write(json.dumps(as_dict(item), ensure_ascii=False) + "\n")


def metrics_of(folder: Path) -> dict[str, Any]:
    """The final numbers of a finished run; empty when it left none."""
    path = folder / "summary.json"
    if not path.is_file():
        return {}
    summary = json.loads(path.read_text(encoding="utf-8"))
    return dict(summary.get("metrics", summary))


def one_line(text: str, longest: int = 300) -> str:
    """The first paragraph of a message, on one line."""
    words = " ".join(text.strip().split("\n\n")[0].split())
    return words if len(words) <= longest else words[: longest - 1] + "…"
