"""Plain dicts in the place of records, for those who ask a saved model from Python."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from xpo.data.record import Record
from xpo.data.words import Malformed, joined, text_of
from xpo.errors import UserError

Rows = Sequence[Record | Mapping[str, Any]]
"""Records, or dicts of ``prompt`` and ``completions``: texts, or lists of {"role", "content"}."""

_KEYS = {"prompt", "completions"}


def as_records(rows: Rows) -> list[Record]:
    """Records as they are, dicts as ``data=jsonl`` reads them. ``UserError`` for a row that is neither."""
    if isinstance(rows, Mapping | str):
        raise UserError(f"rows must be a list of them, got {rows!r:.80}")
    return [_record(row, f"row {number}") for number, row in enumerate(rows)]


def _record(row: Any, where: str) -> Record:
    if isinstance(row, Record):
        return row
    if not isinstance(row, Mapping) or set(row) != _KEYS:
        raise UserError(f'{where} must be {{"prompt": ..., "completions": [...]}}, got {row!r:.80}')
    given = row["completions"]
    if not isinstance(given, list | tuple) or not given:
        raise UserError(f"{where}: completions must be a list of responses, got {given!r:.80}")
    try:
        responses = tuple(text_of(response, f"completions[{k}]") for k, response in enumerate(given))
        prompt, responses = joined(text_of(row["prompt"], "prompt"), responses)
    except Malformed as error:
        raise UserError(f"{where}: {error}") from None
    return Record(prompt, responses, where=where)
