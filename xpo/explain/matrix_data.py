"""The data on which the matrix tries presets: the gold world and the rows of a file."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from xpo.compose import ConfigError, Refused, build
from xpo.compose.assembled import assembled
from xpo.explain.left_open import filled_in, left_open


def long_from(least: int, most: int) -> tuple[str, ...]:
    """From how many tokens on responses are overlong, and how many there may be."""
    return f"++hp.length.overlong.most={most}", f"++hp.length.overlong.buffer={most - least}"


SMALL = ("model.hidden=16", "model.layers=1", "model.heads=2", "trainer.threads=1")
GOLD = ("data=gold", "data.mode=sampled", "data.symbols=3", "data.records=48", *SMALL, *long_from(2, 4))
WHOLE = ("data=gold", "data.mode=population", "data.symbols=2", *SMALL, *long_from(2, 4))
FILE = (
    "data=jsonl",
    "data.path={rows}",
    "model=scratch",
    "model.vocab_size=300",
    "model.max_length=64",
    *SMALL,
    *long_from(2, 60),
)

CONTEXTS = {"gold": (GOLD, WHOLE), "file": (FILE, (*FILE, "data.pretraining={rows}"))}
"""The data, and others where a preset does not take those. ``rows`` is a file."""


UNREAD = ({"path": "unread", "helpfulness": "unread", "cost": "unread-too", "models": "[{path: unread}]"},)
"""Values for what a preset leaves to its user, where nothing is read."""

Ways = Sequence[Mapping[str, str]]


def placed(algo: str, where: str, rows: Path, given: Sequence[Ways]) -> tuple[int, list[str]]:
    """The number of the first of these data that the preset takes, and overrides; the last if it takes none.

    What the preset leaves to its user is filled in the first way, of those ``given`` for the data, that its
    components take.
    """
    number, overrides = 0, [""]
    for number, (data, ways) in enumerate(zip(CONTEXTS[where], given, strict=True)):
        for way in ways if left_open(algo, where_from(data), ways[0]) else ways[:1]:
            filled = filled_in(algo, where_from(data), way, str(rows))
            overrides = [f"algo={algo}", *with_rows(data, rows), *filled]
            with contextlib.suppress(Refused, ConfigError):
                build(assembled(overrides))
                return number, overrides
    return number, overrides


def in_context(algo: str, where: str, rows: Path) -> list[str]:
    """Those overrides, where nothing that they name is read."""
    return placed(algo, where, rows, [UNREAD] * len(CONTEXTS[where]))[1]


def where_from(data: Sequence[str]) -> str:
    """The option of ``data`` that overrides choose."""
    return next(one.removeprefix("data=") for one in data if one.startswith("data="))


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
