"""Raw rows to records, one parser per format."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Mapping
from typing import Any

from xpo.data.columns import FORMATS
from xpo.data.errors import BadRow
from xpo.data.record import Record, Text
from xpo.data.shape import Matrix
from xpo.data.words import Malformed, joined, text_of

Values = Mapping[str, Any]
"""Our column name -> value; a column that the row lacks is not in it."""

LARGEST = 1e12
"""Of a score or margin: differences of larger ones have no digits left in float32."""


def parse(form: str, values: Values, where: str) -> Record:
    """One record. Raises ``BadRow`` with the place, what is wrong and a valid row of this format."""
    kind = FORMATS[form]
    try:
        for column in kind.required:
            _required(values, column)
        return _PARSERS[form](values, where)
    except Malformed as error:
        raise BadRow(where, error.kind, str(error), kind.example) from None


def _required(values: Values, column: str) -> Any:
    if values.get(column) is None:
        raise Malformed("missing value", f"column {column!r} is null or missing")
    return values[column]


def _preference(values: Values, where: str) -> Record:
    prompt, responses = joined(_prompt(values), (_response(values, "chosen"), _response(values, "rejected")))
    scores = None
    if values.get("score_chosen") is not None and values.get("score_rejected") is not None:
        scores = (
            _number(values["score_chosen"], "score_chosen"),
            _number(values["score_rejected"], "score_rejected"),
        )
    margins = None
    if values.get("margin") is not None:
        margin = _number(values["margin"], "margin")
        margins = ((0.0, margin), (-margin, 0.0))
    return Record(prompt, responses, ranks=(0, 1), scores=scores, margins=margins, where=where)


def _list(values: Values, where: str) -> Record:
    items = values["completions"]
    if not isinstance(items, list | tuple) or not items:
        raise Malformed(
            "wrong type", f"column 'completions' must be a list with at least one response, got {items!r:.60}"
        )
    texts = tuple(_checked(item, f"completions[{i}]") for i, item in enumerate(items))
    prompt, responses = joined(_prompt(values), texts)
    scores = _numbers(values, "scores", len(items))
    ranks = _ranks(values, len(items))
    wins, margins = _wins(values, len(items)), _margins(values, len(items))
    if scores is None and ranks is None:
        raise Malformed(
            "missing column", "a list of responses needs a column 'scores' or 'ranks', beside 'wins' too"
        )
    return Record(prompt, responses, ranks=ranks, scores=scores, wins=wins, margins=margins, where=where)


def _unpaired(values: Values, where: str) -> Record:
    prompt, responses = joined(_prompt(values), (_response(values, "completion"),))
    return Record(prompt, responses, labels=(_label(values["label"]),), where=where)


def _scored(values: Values, where: str) -> Record:
    prompt, responses = joined(_prompt(values), (_response(values, "completion"),))
    return Record(prompt, responses, scores=(_number(values["score"], "score"),), where=where)


def _demonstration(values: Values, where: str) -> Record:
    if values.get("messages") is not None:
        prompt, responses = joined(None, (text_of(values["messages"], "messages"),))
        _nonempty(responses[0], "messages")
    elif values.get("completion") is not None:
        prompt, responses = joined(_prompt(values) or "", (_response(values, "completion"),))
    elif values.get("text") is not None:
        prompt, responses = joined("", (_response(values, "text"),))
    else:
        raise Malformed(
            "missing column",
            f"a demonstration needs 'completion', 'messages' or 'text' (found: {', '.join(values)})",
        )
    return Record(prompt, responses, where=where)


_PARSERS: dict[str, Callable[[Values, str], Record]] = {
    "preference": _preference,
    "list": _list,
    "unpaired": _unpaired,
    "scored": _scored,
    "demonstration": _demonstration,
}


def _prompt(values: Values) -> Text | None:
    prompt = values.get("prompt")
    return None if prompt is None else text_of(prompt, "prompt")


def _response(values: Values, column: str) -> Text:
    return _checked(_required(values, column), column)


def _checked(value: Any, column: str) -> Text:
    return _nonempty(text_of(value, column), column)


def _nonempty(text: Text, column: str) -> Text:
    if not text or (not isinstance(text, str) and not text[-1].content):
        raise Malformed("empty response", f"column {column!r} is an empty response")
    return text


def _number(value: Any, column: str) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise Malformed("wrong type", f"column {column!r} must be a number, got {value!r:.60}")
    try:
        number = float(value)
    except OverflowError:
        raise Malformed("non-finite number", f"column {column!r} is beyond 1e308: {value!r:.20}...") from None
    if not math.isfinite(number):
        raise Malformed("non-finite number", f"column {column!r} must be finite, got {value}")
    if abs(number) > LARGEST:
        raise Malformed(
            "out of range", f"column {column!r} must be at most {LARGEST:g} in size, got {value:g}"
        )
    return number


def _numbers(values: Values, column: str, size: int) -> tuple[float, ...] | None:
    items = values.get(column)
    if items is None:
        return None
    if not isinstance(items, list | tuple):
        raise Malformed("wrong type", f"column {column!r} must be a list of numbers, got {items!r:.60}")
    if len(items) != size:
        raise Malformed(
            "unequal lengths",
            f"column {column!r} has {len(items)} entries and 'completions' has {size}; one for each",
        )
    return tuple(_number(item, f"{column}[{i}]") for i, item in enumerate(items))


def _ranks(values: Values, size: int) -> tuple[int, ...] | None:
    """Any numbers, the lowest is best; equal ones tie."""
    given = _numbers(values, "ranks", size)
    if given is None:
        return None
    levels = sorted(set(given))
    return tuple(levels.index(rank) for rank in given)


def _wins(values: Values, size: int) -> Matrix | None:
    matrix = _matrix(values, "wins", size)
    if any(not 0.0 <= share <= 1.0 for row in matrix or () for share in row):
        raise Malformed("out of range", "column 'wins' holds probabilities: numbers from 0 to 1")
    for i, j in itertools.combinations(range(size if matrix else 0), 2):
        assert matrix is not None
        if not math.isclose(matrix[i][j] + matrix[j][i], 1.0, abs_tol=1e-3):
            raise Malformed(
                "out of range",
                f"wins[{i}][{j}] is {matrix[i][j]:g} and wins[{j}][{i}] is {matrix[j][i]:g}: one of two "
                "responses wins, so the two sum to 1",
            )
    return matrix


def _margins(values: Values, size: int) -> Matrix | None:
    """How much better i is than j; j is worse than i by the same number."""
    matrix = _matrix(values, "margins", size)
    if matrix is None:
        return None
    for i, j in itertools.product(range(size), repeat=2):
        if not math.isclose(matrix[i][j], -matrix[j][i], rel_tol=1e-6, abs_tol=1e-9):
            raise Malformed(
                "out of range",
                f"margins[{i}][{j}] is {matrix[i][j]:g} and margins[{j}][{i}] is {matrix[j][i]:g}: a "
                "response is worse than another by as much as that one is better (a number for each is what "
                "'scores' are)",
            )
    return matrix


def _matrix(values: Values, column: str, size: int) -> Matrix | None:
    rows = values.get(column)
    if rows is None:
        return None
    if not isinstance(rows, list | tuple) or len(rows) != size:
        raise Malformed(
            "unequal lengths", f"column {column!r} must be a {size} x {size} matrix, one row per completion"
        )
    return tuple(_numbers({column: row}, column, size) or () for row in rows)


def _label(value: Any) -> bool:
    if isinstance(value, bool):
        return value
    if value in (0, 1):
        return bool(value)
    raise Malformed("wrong type", f"column 'label' must be true or false (or 1 or 0), got {value!r:.60}")
