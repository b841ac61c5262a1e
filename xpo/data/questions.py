"""Whether the prompts of a run that samples can be judged, before any model is loaded."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from xpo.annotator.base import Labeller
from xpo.data.errors import DataError
from xpo.data.record import Record, Text
from xpo.rule.answer import NO_ANSWER


def check_questions(records: Iterable[Record], annotator: Any) -> None:
    """``DataError`` for a prompt without the right answer that its samples are compared with, or with two.

    A prompt that occurs again is asked once, so that its rows must not contradict each other.
    """
    first: dict[Text, Record] = {}
    for record in records:
        if "answers" in annotator.needs and record.answer is None:
            raise DataError(f"{record.where}: {NO_ANSWER}")
        known = first.setdefault(record.prompt, record)
        if isinstance(annotator, Labeller) and annotator.contradicts(known, record):
            raise DataError(
                f"{record.where}: the right answer to this prompt is {_shown(record)}, and in {known.where} "
                f"it is {_shown(known)}: samples would be compared with one of them; take one row out"
            )


def _shown(record: Record) -> str:
    text = str(record.answer)
    return repr(text if len(text) <= 60 else f"...{text[-57:]}")  # what counts stands at its end
