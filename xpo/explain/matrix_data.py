"""The data on which the matrix tries presets: the gold world and the rows of a file."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Sequence
from pathlib import Path

from xpo.compose import Refused, build, compose_config

SMALL = ("model.hidden=16", "model.layers=1", "model.heads=2", "trainer.threads=1")
GOLD = ("data=gold", "data.mode=sampled", "data.records=48", *SMALL)
WHOLE = ("data=gold", "data.mode=population", "data.symbols=3", "data.max_symbols=2", *SMALL)
FILE = (
    "data=jsonl",
    "data.path={rows}",
    "model=scratch",
    "model.vocab_size=300",
    "model.max_length=64",
    *SMALL,
)

CONTEXTS = {"gold": (GOLD, WHOLE), "file": (FILE, (*FILE, "data.pretraining={rows}"))}
"""The data, and others where a preset does not take those. ``rows`` is a file."""


def in_context(algo: str, where: str, rows: Path) -> list[str]:
    """The preset on the first of these data that it takes, as overrides; on the last if it takes none."""
    overrides: list[str] = []
    for data in CONTEXTS[where]:
        overrides = [f"algo={algo}", *with_rows(data, rows)]
        with contextlib.suppress(Refused):
            build(compose_config(overrides))
            return overrides
    return overrides


def with_rows(data: Sequence[str], rows: Path) -> list[str]:
    """The overrides with the file that they read."""
    return [override.format(rows=rows) for override in data]


def write_rows(folder: Path) -> Path:
    """Lists whose ranks and scores disagree now and then, of unequal lengths."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "rows.jsonl"
    words = ["ash", "birch", "cedar", "elm", "fir", "oak", "pine", "yew"]
    rows = []
    for n in range(12):
        completions = [
            " ".join(words[(n + k * j) % 8] for j in range(1 + (n + k) % 4)) + f" {k}" for k in range(3)
        ]
        scores = [float((n * 3 + k * 5) % 7) + k / 10 for k in range(3)]
        ranks = [(n + k) % 3 for k in range(3)]
        wins = [[0.5 + (scores[i] - scores[j]) / 20 for j in range(3)] for i in range(3)]
        row = {
            "prompt": f"tree {n}",
            "completions": completions,
            "scores": scores,
            "ranks": ranks,
            "wins": wins,
            "labels": [(n + k) % 2 == 0 for k in range(3)],
            "spans": [[{"type": "odd", "start": 0, "end": 2}] * ((n + k) % 2) for k in range(3)],
        }
        rows.append(row)
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path
