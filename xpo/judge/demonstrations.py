"""Demonstrations made of revisions, kept in the cache as they come."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from xpo.annotator.base import Desk
from xpo.annotator.store import Store
from xpo.data.record import Record
from xpo.judge.lengths import fitting
from xpo.judge.local import LocalBackend
from xpo.judge.remembered import Remembered
from xpo.judge.revise import Recipe, Revising
from xpo.judge.revisions import Reviser, items, revised
from xpo.judge.template import Template
from xpo.run.say import shown


@dataclass(frozen=True)
class Request:
    """How revisions are asked for. ``own``: of the model's own answers, not of the data's responses."""

    template: Template
    recipe: Recipe
    own: bool


@dataclass(frozen=True)
class Made:
    """``lines`` of a file of demonstrations, and why others are missing."""

    lines: list[str]
    empty: int
    long: int
    kept: Path

    def told(self, out: Path) -> str:
        """For a person."""
        left_out = f", {self.empty} left out because the model's revision was empty" if self.empty else ""
        if self.long:
            left_out += f", {self.long} left out because they are too long (data.on_long_row=drop)"
        where = shown(out)
        return f"{len(self.lines)} demonstrations in {where}{left_out}; each step lies in {shown(self.kept)}"


def reviser_of(parts: Any) -> Revising | None:
    """Who criticises and revises: the annotator, or who labels for a reward model that is trained first."""
    who = parts.annotator.before(parts).annotator if parts.annotator.first else parts.annotator
    return who if isinstance(who, Revising) else None


def demonstrations(
    annotator: Revising, data: Any, records: Sequence[Record], desk: Desk, request: Request
) -> Made:
    """A row of prompt and completion for each distinct response, or prompt; what is known is not asked again.

    ``data``: the option that the records come from. Raises ``LabelError`` with the row at fault.
    """
    wanted = items(records, own=request.own)
    with annotator.open(desk) as backend:
        reviser = Reviser(backend, request.template, annotator.improving(), request.recipe)
        digest = hashlib.sha256(reviser.fingerprint.encode()).hexdigest()[:16]
        kept = desk.cache / "revisions" / f"{digest}.jsonl"
        fit = fitting(wanted, backend, data)
        if isinstance(backend, LocalBackend):
            answers = Store(kept.with_name(f"{digest}-answers.jsonl"))
            reviser = replace(reviser, backend=Remembered(backend, answers))
        found = revised(reviser, fit, Store(kept), data.on_long_row == "drop")
    rows = [item.demonstration(found[item.key]) for item in fit if item.key in found]
    lines = [json.dumps(row, ensure_ascii=False) for row in rows if row is not None]
    return Made(lines, len(rows) - len(lines), len(wanted) - len(rows), kept)
