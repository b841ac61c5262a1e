"""A response of the data that stands beside samples of the same prompt, as tokens."""

from __future__ import annotations

import dataclasses
from typing import Any

from xpo.data.errors import DataError
from xpo.data.ids import common
from xpo.data.record import Example, Record, Text
from xpo.data.render import rendered
from xpo.data.tokenize import closed, ids_of


def given_ids(record: Record, which: str, tokenizer: Any, most: int) -> tuple[tuple[int, ...], ...]:
    """The record's ``best`` or ``worst`` response behind its prompt's own tokens, cut to ``most``.

    None for ``which=none``. A response alone is both. Where a token spans prompt and response the response
    is tokenised by itself, as samples stand behind the whole prompt. Raises ``DataError`` for a record
    without a response, or with several that nobody compared. Of equal ones it is the first (``equals``).
    """
    if which == "none":
        return ()
    text = record.responses[_place(record, which)]
    prompt, (whole,) = rendered(Example(prompt=record.prompt, responses=(text,)), tokenizer)
    before, both = ids_of(prompt, tokenizer), ids_of(whole, tokenizer)
    found = both[len(before) :] if common(before, both) == len(before) else _alone(text, tokenizer)
    return (tuple(closed(found, tokenizer)[:most]),)


def equals(record: Record, which: str) -> bool:
    """Whether several of the record's responses are its ``best``, or its ``worst``: one of them is taken."""
    if which == "none" or record.merit is None or len(record.responses) < 2:
        return False
    worth = record.merit[_place(record, which)]
    found = {text for text, merit in zip(record.responses, record.merit, strict=True) if merit == worth}
    return len(found) > 1


def _place(record: Record, which: str) -> int:
    if not record.responses:
        raise DataError(
            f"{record.where}: sampling.given={which} takes a response of the data, and this row has none: "
            "add a column 'completion' (or 'chosen' and 'rejected', or 'completions' with 'scores'); or have "
            "samples alone judged: feedback=preference sampling.given=none and an annotator"
        )
    if len(record.responses) == 1:
        return 0
    if record.merit is None:
        raise DataError(
            f"{record.where}: sampling.given={which} takes one of {len(record.responses)} responses, "
            "and nobody says which is better (chosen and rejected, ranks or scores)"
        )
    side = max(record.merit) if which == "best" else min(record.merit)
    return record.merit.index(side)


def _alone(text: Text, tokenizer: Any) -> list[int]:
    if not isinstance(text, str):
        text = "".join(message.content for message in text)
    return list(tokenizer(text, add_special_tokens=False)["input_ids"])


def judged(record: Record, given: int, which: str) -> Record:
    """The record where responses of the data, its last ``given`` ones, are all that is preferred, or not."""
    own = len(record.responses) - given
    first, second = (1, 0) if which == "best" else (0, 1)
    return dataclasses.replace(record, ranks=(first,) * own + (second,) * given)
