"""Rows for whole-step statistics: prompts with responses that are not theirs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from xpo.contracts import Row
from xpo.data.truncate import Limits, fit


def partners(rows: Sequence[Row], step: Sequence[int]) -> dict[int, int]:
    """For each row of a step the row whose responses it is scored with, the same on every rank.

    The next row of the step (in the step's order, cyclic) with another prompt; where the step has none
    (a step of one row, say) the next such row of the data set; where all prompts are equal the next row
    that shares no response. Raises ``ValueError`` where every row has this row's responses.
    """
    return {index: _partner(rows, step, position) for position, index in enumerate(step)}


def _partner(rows: Sequence[Row], step: Sequence[int], position: int) -> int:
    own = rows[step[position]]
    for candidate in _candidates(len(rows), step, position):
        if list(rows[candidate].prompt) != list(own.prompt) and _foreign(own, rows[candidate]):
            return candidate
    for candidate in _candidates(len(rows), step, position):
        if _foreign(own, rows[candidate]):
            return candidate
    raise ValueError(f"{own.source or 'row'}: no other row of the data has another response to mismatch with")


def _candidates(total: int, step: Sequence[int], position: int) -> Iterator[int]:
    yield from (step[(position + shift) % len(step)] for shift in range(1, len(step)))
    yield from ((step[position] + shift) % total for shift in range(1, total))


def _foreign(own: Row, other: Row) -> bool:
    return {tuple(response) for response in own.responses}.isdisjoint(tuple(r) for r in other.responses)


def mismatched(row: Row, other: Row, limits: Limits, bos_id: int | None) -> Row:
    """``row``'s prompt and weight with all of ``other``'s responses, cut to the window; no feedback."""
    prompt, responses = fit(row.prompt, other.responses, limits, bos_id)
    return Row(prompt, responses, weight=row.weight, source=f"{row.source} with {other.source}")
