"""Raw rows to records, one parser per format."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

from xpo.data.columns import FORMATS
from xpo.data.errors import BadRow
from xpo.data.parts import spans_of, stepwise
from xpo.data.record import Record, Text
from xpo.data.values import (
    Values,
    answer_of,
    both_labels,
    label_of,
    labels_of,
    margins_of,
    models_of,
    number,
    numbers,
    ranks_of,
    wins_of,
)
from xpo.data.words import Malformed, joined, text_of


def parse(form: str, values: Values, where: str) -> Record:
    """One record. Raises ``BadRow`` with the place, what is wrong and a valid row of this format."""
    kind = FORMATS[form]
    try:
        for column in kind.required:
            _required(values, column)
        return dataclasses.replace(_PARSERS[form](values, where), answer=answer_of(values))
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
            number(values["score_chosen"], "score_chosen"),
            number(values["score_rejected"], "score_rejected"),
        )
    margins = None
    if values.get("margin") is not None:
        margin = number(values["margin"], "margin")
        margins = ((0.0, margin), (-margin, 0.0))
    models, labels = models_of(values, 2), both_labels(values, ("label_chosen", "label_rejected"))
    return Record(
        prompt, responses, (0, 1), scores, labels=labels, margins=margins, models=models, where=where
    )


def _numbered(values: Values, where: str) -> Record:
    """Two responses, the number of the better one, and what is said of each."""
    texts = (_response(values, "response_0"), _response(values, "response_1"))
    prompt, responses = joined(_prompt(values), texts)
    better, ranks = values.get("preferred_id"), None
    if better is not None:
        if isinstance(better, bool) or better not in (0, 1):
            raise Malformed("wrong type", f"column 'preferred_id' must be 0 or 1, got {better!r:.60}")
        ranks = (0, 1) if better == 0 else (1, 0)
    models, labels = models_of(values, 2), both_labels(values, ("label_0", "label_1"))
    return Record(prompt, responses, ranks, labels=labels, models=models, where=where)


def _list(values: Values, where: str) -> Record:
    items = values["completions"]
    if not isinstance(items, list | tuple) or not items:
        raise Malformed(
            "wrong type", f"column 'completions' must be a list with at least one response, got {items!r:.60}"
        )
    texts = tuple(_checked(item, f"completions[{i}]") for i, item in enumerate(items))
    prompt, responses = joined(_prompt(values), texts)
    scores = numbers(values, "scores", len(items))
    ranks = ranks_of(values, len(items))
    wins, margins = wins_of(values, len(items)), margins_of(values, len(items))
    if scores is None and ranks is None and (wins or margins):
        beside = "wins" if wins else "margins"
        raise Malformed(
            "missing column", f"a list of responses needs a column 'scores' or 'ranks', beside {beside!r} too"
        )
    models, spans = models_of(values, len(items)), spans_of(values, responses)
    return Record(
        prompt,
        responses,
        ranks,
        scores,
        wins=wins,
        labels=labels_of(values, len(items)),
        margins=margins,
        costs=numbers(values, "costs", len(items)),
        models=models,
        spans=spans,
        where=where,
    )


def _unpaired(values: Values, where: str) -> Record:
    prompt, responses = joined(_prompt(values), (_response(values, "completion"),))
    label = values.get("label")
    labels = None if label is None else (label_of(label),)
    return Record(prompt, responses, labels=labels, spans=spans_of(values, responses), where=where)


def _scored(values: Values, where: str) -> Record:
    prompt, responses = joined(_prompt(values), (_response(values, "completion"),))
    return Record(prompt, responses, scores=(number(values["score"], "score"),), where=where)


def _prompts(values: Values, where: str) -> Record:
    """A question alone, for runs that sample."""
    prompt = _prompt(values)
    assert prompt is not None, "it is required"
    if not prompt or (not isinstance(prompt, str) and not prompt[-1].content):
        raise Malformed("empty prompt", "column 'prompt' is empty: there is nothing to answer")
    return Record(prompt, (), where=where)


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
    "numbered": _numbered,
    "list": _list,
    "unpaired": _unpaired,
    "scored": _scored,
    "stepwise": stepwise,
    "prompts": _prompts,
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
