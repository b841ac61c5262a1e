"""Columns that speak of parts of responses: labelled steps of a solution, spans of errors in an answer."""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import accumulate
from typing import Any

from xpo.data.errors import DataError
from xpo.data.record import Record, Span, Step
from xpo.data.values import Values
from xpo.data.words import Malformed, blank, joined, text_of

SEPARATOR = "step_separator"
"""Among a row's values: what stands between two steps (the data option's)."""


def separator(written: str) -> str:
    """What stands between two steps, from a setting in which \\n, \\t and \\\\ are spelt out."""
    spelt = {"n": "\n", "t": "\t", "\\": "\\"}
    return re.sub(r"\\([nt\\])", lambda match: spelt[match[1]], written)


def stepwise(values: Values, where: str) -> Record:
    """A solution as a list of steps, or as a text with the ends of its steps, and whether each is right.

    The solution as a whole is good if no step is wrong.
    """
    if values.get("completions") is not None:
        text, steps = _listed(values)
    elif values.get("completion") is not None and values.get("steps") is not None:
        text, steps = _marked(values)
    else:
        raise Malformed(
            "missing column",
            "steps of a solution are 'completions' (texts) with 'labels', or a 'completion' with 'steps' "
            f"(end and label); found: {', '.join(name for name in values if name != SEPARATOR)}",
        )
    prompt, responses = joined(text_of(values["prompt"], "prompt"), (text,))
    said = [step.label for step in steps if step.label is not None]
    if not said:
        raise Malformed("missing value", "no step has a label")
    return Record(prompt, responses, labels=(min(said) >= 0,), steps=(steps,), where=where)


def spans_of(values: Values, texts: tuple[Any, ...]) -> tuple[tuple[Span, ...] | None, ...] | None:
    """Errors in each response. A plain list of spans is about the first response, and none else was read."""
    given = values.get("spans")
    if given is None:
        return None
    if not isinstance(given, list | tuple):
        raise Malformed("wrong type", f"column 'spans' must be a list, got {given!r:.60}")
    if given and any(not isinstance(item, dict) for item in given):
        if len(given) != len(texts):
            raise Malformed(
                "unequal lengths",
                f"column 'spans' must be a list of spans in the first response, or {len(texts)} such lists "
                f"(null: nobody looked), one for each; got {len(given)}",
            )
        return tuple(_spans(items, text, k) for k, (items, text) in enumerate(zip(given, texts, strict=True)))
    return (_spans(given, texts[0], 0), *(None,) * (len(texts) - 1))


def require_wrong_steps(records: Sequence[Record], path: str) -> None:
    """``DataError`` where some steps are neutral and none is wrong: 0 was meant to be that."""
    said = {step.label for record in records for steps in record.steps or () for step in steps or ()}
    if 0 in said and -1 not in said:
        raise DataError(
            f"{path}: labels of steps are 0 (neutral) or 1 (right), and no step is wrong (-1). If 0 is wrong "
            "here, write false and true, or -1 and 1"
        )


def _listed(values: Values) -> tuple[str, tuple[Step, ...]]:
    items, labels = values["completions"], values.get("labels")
    if not isinstance(items, list | tuple) or not items or not all(isinstance(item, str) for item in items):
        raise Malformed("wrong type", f"column 'completions' must be a list of texts, got {items!r:.60}")
    if not isinstance(labels, list | tuple) or len(labels) != len(items):
        raise Malformed(
            "unequal lengths",
            f"column 'labels' must be a list of {len(items)} labels, one for each step, got {labels!r:.60}",
        )
    steps = [str(text_of(item, f"completions[{i}]")) for i, item in enumerate(items)]
    empty = next((i for i, step in enumerate(steps) if blank(step)), None)
    if empty is not None:
        raise Malformed("empty response", f"column 'completions[{empty}]' is an empty step")
    between = str(values[SEPARATOR])
    ends = accumulate(len(step) + (len(between) if i else 0) for i, step in enumerate(steps))
    said = [_label(label, f"labels[{i}]") for i, label in enumerate(labels)]
    return between.join(steps), tuple(map(Step, ends, said))


def _marked(values: Values) -> tuple[Any, tuple[Step, ...]]:
    text, items = text_of(values["completion"], "completion"), values["steps"]
    said = _said(text, "completion")
    if not isinstance(items, list | tuple) or not items:
        raise Malformed("wrong type", f"column 'steps' must be a list of steps, got {items!r:.60}")
    steps, before = [], 0
    for i, item in enumerate(items):
        if not isinstance(item, dict) or not {"end"} <= set(item) <= {"end", "label"}:
            raise Malformed(
                "wrong type", f"column 'steps[{i}]' must be an object of end and label, got {item!r:.60}"
            )
        end = _character(item["end"], f"steps[{i}].end", len(said))
        if not said[before:end].strip():
            raise Malformed(
                "out of range", f"column 'steps[{i}]' ends at {end} and has no text behind character {before}"
            )
        steps.append(Step(end, _label(item.get("label"), f"steps[{i}].label")))
        before = end
    return text, tuple(steps)


def _label(value: Any, column: str) -> int | None:
    """-1, 0 or 1; of the booleans false is -1, as a list of them has nothing in between."""
    if value is None:
        return None
    if isinstance(value, bool):
        return 1 if value else -1
    if value in (-1, 0, 1):
        return int(value)
    raise Malformed(
        "wrong type",
        f"column {column!r} must be true, false, 1 (right), 0 (neutral) or -1 (wrong), got {value!r:.60}",
    )


def _spans(items: Any, response: Any, k: int) -> tuple[Span, ...] | None:
    if items is None:
        return None
    if not isinstance(items, list | tuple):
        raise Malformed("wrong type", f"column 'spans[{k}]' must be a list of spans, got {items!r:.60}")
    said = _said(response, f"completions[{k}]") if items else ""
    return tuple(_span(item, f"spans[{i}]", said) for i, item in enumerate(items))


def _span(item: Any, column: str, said: str) -> Span:
    if not isinstance(item, dict) or set(item) != {"type", "start", "end"}:
        raise Malformed(
            "wrong type", f"column {column!r} must be an object of type, start and end, got {item!r:.60}"
        )
    kind = item["type"]
    if not isinstance(kind, str) or not kind:
        raise Malformed("wrong type", f"column {column + '.type'!r} must be a text, got {kind!r:.60}")
    start, end = (_character(item[key], f"{column}.{key}", len(said)) for key in ("start", "end"))
    if start >= end:
        raise Malformed("out of range", f"column {column!r} goes from {start} to {end}, which is nothing")
    return Span(kind, start, end)


def _character(value: Any, column: str, size: int) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        raise Malformed("wrong type", f"column {column!r} must be a whole number, got {value!r:.60}")
    if not 0 <= value <= size:
        raise Malformed(
            "out of range", f"column {column!r} is {value}, and the response has {size} characters"
        )
    return value


def _said(response: Any, column: str) -> str:
    if isinstance(response, str):
        return response
    if len(response) != 1:
        raise Malformed("wrong type", f"column {column!r} must be one message, whose characters are counted")
    return response[0].content
