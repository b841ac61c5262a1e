"""``to_label.jsonl``: rows that wait for a person, and what the person said; a file that can be edited."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from xpo.annotator.base import content_key
from xpo.annotator.verdict import is_finite
from xpo.compose.errors import did_you_mean
from xpo.data.errors import DataError
from xpo.data.lines import Repeated, unlike
from xpo.data.record import Message, Record
from xpo.run.files import write_text

FILE = "to_label.jsonl"

WAYS = {
    "choice": "the best response, counted from 1, or tie",
    "scores": "a number for each response, higher is better",
    "label": "true if the response is good, else false",
}
"""Fields that a person fills, one of them in each row."""

_COLUMNS = ("key", "where", "prompt", "completions", *WAYS)


@dataclass(frozen=True)
class Asked:
    """A row of the file. ``ways``: what may be said (of WAYS); ``said``: what was, as {field: value}."""

    key: str  # of the content: xpo.annotator.base.content_key
    prompt: Any  # a text, or messages as objects with role and content
    completions: tuple[Any, ...]
    ways: tuple[str, ...]
    said: Mapping[str, Any] | None = None
    where: str = ""
    line: int = 0

    def as_json(self) -> str:
        """Its line. Fields that may be filled stand in it as null."""
        row = {"key": self.key, "where": self.where, "prompt": self.prompt, "completions": self.completions}
        return json.dumps({**row, **dict.fromkeys(self.ways), **(self.said or {})}, ensure_ascii=False) + "\n"


def ways_for(size: int) -> tuple[str, ...]:
    """What can be said of so many responses."""
    return ("choice", "scores") if size > 1 else ("label", "scores")


def asked_of(record: Record, ways: tuple[str, ...]) -> Asked:
    """The question that a record is."""
    completions = tuple(_objects(response) for response in record.responses)
    return Asked(content_key(record), _objects(record.prompt), completions, ways, where=record.where)


def with_label(record: Record, said: Mapping[str, Any]) -> Record:
    """The record with what a person said of it: a choice is the first rank, all others share the second."""
    ((way, value),) = said.items()
    if way == "scores":
        return dataclasses.replace(record, scores=tuple(map(float, value)))
    if way == "label":
        return dataclasses.replace(record, labels=(value,))
    best = None if value == "tie" else value - 1
    ranks = tuple(int(best is not None and k != best) for k in range(len(record.responses)))
    return dataclasses.replace(record, ranks=ranks)


def objection_to(said: Mapping[str, Any], size: int) -> str:
    """What is wrong with a label of so many responses; empty if nothing is."""
    if len(said) != 1 or not said.keys() <= WAYS.keys():
        return f"a label is one of {', '.join(WAYS)}, got {said!r:.60}"
    ((way, value),) = said.items()
    if way not in ways_for(size):
        return f"{way} says nothing of {size} response{'s' * (size > 1)}: give {' or '.join(ways_for(size))}"
    if way == "label":
        return "" if isinstance(value, bool) else f"label must be true or false, got {value!r:.60}"
    if way == "choice":
        number = isinstance(value, int) and not isinstance(value, bool) and 1 <= value <= size
        return "" if number or value == "tie" else f"choice must be 1 to {size}, or tie, got {value!r:.60}"
    if not isinstance(value, list | tuple) or len(value) != size or not all(map(is_finite, value)):
        return f"scores must be {size} finite numbers, one for each response, got {value!r:.60}"
    return ""


def read_asked(path: Path) -> list[Asked]:
    """All rows of the file. Raises ``DataError`` with file and line for what is no row or no label."""
    try:
        lines = path.read_text(encoding="utf-8-sig").split("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{path}: cannot be read: {error}") from None
    rows = [_row(f"{path}:{n}", n, line) for n, line in enumerate(lines, 1) if line.strip()]
    seen: dict[str, int] = {}
    for row in rows:
        if seen.setdefault(row.key, row.line) != row.line:
            raise DataError(f"{path}:{row.line}: the row of line {seen[row.key]} stands here again")
    return rows


def write_asked(path: Path, rows: Sequence[Asked]) -> None:
    """The whole file, at once."""
    write_text(path, "".join(row.as_json() for row in rows))


def _row(where: str, line: int, text: str) -> Asked:
    row = _object(where, text)
    said = {way: row[way] for way in WAYS if row.get(way) is not None}
    if len(said) > 1:
        raise DataError(f"{where}: {' and '.join(said)} are given: give one of them, null for the other")
    size = len(row["completions"])
    problem = objection_to(said, size) if said else ""
    if problem:
        raise DataError(f"{where}: {problem}")
    if _key_of(row) != row["key"]:
        raise DataError(
            f"{where}: its prompt and completions are not those that its key stands for: they were edited or "
            "moved, and the label would be of other texts. Put them back, or take the line away: the run "
            "writes it anew"
        )
    ways = tuple(way for way in WAYS if way in row) or ways_for(size)
    texts = tuple(row["completions"])
    return Asked(row["key"], row["prompt"], texts, ways, said or None, str(row.get("where", "")), line)


def _object(where: str, text: str) -> dict[str, Any]:
    """A line as an object with key, prompt and completions, and no column that nothing reads."""
    try:
        row = json.loads(text, object_pairs_hook=unlike)
    except Repeated as error:
        raise DataError(f"{where}: {error}") from None
    except (ValueError, RecursionError) as error:
        raise DataError(f"{where}: not valid JSON: {error}") from None
    if not isinstance(row, dict) or not isinstance(row.get("key"), str) or "prompt" not in row:
        raise DataError(f"{where}: no row that waits for a label: it has no key and prompt of a run")
    if not isinstance(row.get("completions"), list) or not row["completions"]:
        raise DataError(f"{where}: completions must be a list of responses")
    for name in row:
        if name not in _COLUMNS:
            near = did_you_mean(name, _COLUMNS)
            raise DataError(f"{where}: nothing reads {name!r}; a label is {', '.join(WAYS)}.{near}")
    return row


def _key_of(row: Mapping[str, Any]) -> str:
    """Of the texts that stand in a row; empty if they are none."""
    try:
        return content_key(Record(_text(row["prompt"]), tuple(map(_text, row["completions"]))))
    except (KeyError, TypeError):
        return ""


def _text(written: Any) -> Any:
    """What ``_objects`` wrote."""
    return written if isinstance(written, str) else tuple(Message(**one) for one in written)


def _objects(text: Any) -> Any:
    """A text, or messages as objects."""
    return text if isinstance(text, str) else [{"role": m.role, "content": m.content} for m in text]
