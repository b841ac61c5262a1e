"""Columns beside texts: numbers, labels, matrices, answers, names of systems."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from typing import Any

from xpo.data.shape import Matrix
from xpo.data.words import Malformed

Values = Mapping[str, Any]
"""Our column name -> value; a column that the row lacks is not in it."""

LARGEST = 1e12
"""Of a score or margin: differences of larger ones have no digits left in float32."""


def number(value: Any, column: str) -> float:
    """A finite number; ``Malformed`` for anything else."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise Malformed("wrong type", f"column {column!r} must be a number, got {value!r:.60}")
    try:
        found = float(value)
    except OverflowError:
        raise Malformed("non-finite number", f"column {column!r} is beyond 1e308: {value!r:.20}...") from None
    if not math.isfinite(found):
        raise Malformed("non-finite number", f"column {column!r} must be finite, got {value}")
    if abs(found) > LARGEST:
        raise Malformed(
            "out of range", f"column {column!r} must be at most {LARGEST:g} in size, got {value:g}"
        )
    return found


def numbers(values: Values, column: str, size: int) -> tuple[float, ...] | None:
    """A number for each of ``size`` responses; None where the row has none."""
    items = _listed(values, column, size, "numbers")
    return None if items is None else tuple(number(item, f"{column}[{i}]") for i, item in enumerate(items))


def _listed(values: Values, column: str, size: int, what: str) -> Sequence[Any] | None:
    items = values.get(column)
    if items is None:
        return None
    if not isinstance(items, list | tuple):
        raise Malformed("wrong type", f"column {column!r} must be a list of {what}, got {items!r:.60}")
    if len(items) != size:
        raise Malformed(
            "unequal lengths",
            f"column {column!r} has {len(items)} entries and 'completions' has {size}; one for each",
        )
    return items


def ranks_of(values: Values, size: int) -> tuple[int, ...] | None:
    """Any numbers, the lowest is best; equal ones tie."""
    given = numbers(values, "ranks", size)
    if given is None:
        return None
    levels = sorted(set(given))
    return tuple(levels.index(rank) for rank in given)


def wins_of(values: Values, size: int) -> Matrix | None:
    """P(i beats j); the two of a pair sum to 1."""
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


def margins_of(values: Values, size: int) -> Matrix | None:
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
    return tuple(numbers({column: row}, column, size) or () for row in rows)


def label_of(value: Any, column: str = "label") -> bool:
    """Whether a response is good."""
    if isinstance(value, bool):
        return value
    if value in (0, 1):
        return bool(value)
    raise Malformed("wrong type", f"column {column!r} must be true or false (or 1 or 0), got {value!r:.60}")


def both_labels(values: Values, columns: tuple[str, str]) -> tuple[bool, bool] | None:
    """Whether each of two responses is good; None where the row says it of neither."""
    given = [values.get(column) for column in columns]
    if given == [None, None]:
        return None
    for column, value in zip(columns, given, strict=True):
        if value is None:
            raise Malformed("missing value", f"column {column!r} is null or missing, and the other's is not")
    return label_of(given[0], columns[0]), label_of(given[1], columns[1])


def labels_of(values: Values, size: int) -> tuple[bool, ...] | None:
    """Whether each of several responses is good."""
    given = _listed(values, "labels", size, "true or false")
    return None if given is None else tuple(label_of(item, f"labels[{i}]") for i, item in enumerate(given))


def answer_of(values: Values) -> str | None:
    """The right answer as a text; a number is written as Python writes it."""
    answer = values.get("answer")
    if answer is None or isinstance(answer, str):
        return answer
    if isinstance(answer, bool) or not isinstance(answer, int | float):
        raise Malformed("wrong type", f"column 'answer' must be a text or a number, got {answer!r:.60}")
    return str(answer)


def models_of(values: Values, size: int) -> tuple[str, ...] | None:
    """The name of the system behind each response."""
    names = values.get("models")
    if names is None:
        return None
    if not isinstance(names, list | tuple) or len(names) != size or not all(map(_is_name, names)):
        raise Malformed(
            "wrong type",
            f"column 'models' must be a list of {size} names, one for each response, got {names!r:.60}",
        )
    return tuple(names)


def _is_name(value: Any) -> bool:
    return isinstance(value, str) and bool(value)
