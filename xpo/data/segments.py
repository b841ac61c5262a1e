"""Parts of responses that have labels of their own: steps of a solution, sentences of an answer.

A part ends at its last visible character; white space behind it belongs to nothing.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from xpo.data.errors import DataError
from xpo.data.record import Message, Record, Text


@dataclass(frozen=True)
class Part:
    """Characters ``start`` to ``end`` (exclusive); ``label`` is the share of good, None: nobody said it."""

    start: int
    end: int
    label: float | None = None


def taken_apart(record: Record, response: Text, parts: Sequence[Part], nested: bool) -> Iterator[Record]:
    """Records of labelled parts.

    ``nested``: one of all of them, as beginnings of the response, labelled as the part that ends there; else
    one of each, as a response to the prompt and all that stands before the part.
    """
    return _nested(record, response, parts) if nested else _apart(record, response, parts)


def _nested(record: Record, response: Text, parts: Sequence[Part]) -> Iterator[Record]:
    labelled = [part for part in parts if part.label is not None]
    if labelled:
        yield _labelled(
            record,
            record.prompt,
            tuple(beginning(response, part.end) for part in labelled),
            tuple(float(part.label or 0) for part in labelled),
            response,
        )


def _apart(record: Record, response: Text, parts: Sequence[Part]) -> Iterator[Record]:
    before = 0
    for part in parts:
        if part.label is not None:
            said, own = beginning(response, before), _between(response, before, part.end)
            yield _labelled(record, _continued(record.prompt, said), (own,), (float(part.label),), None)
        before = part.end


def content(record: Record, response: Text) -> str:
    """What characters are counted in: the text, or what the one message says."""
    if isinstance(response, str):
        return response
    if len(response) != 1:
        raise DataError(
            f"{record.where}: parts of a response are counted in the characters of one message, and this one "
            f"has {len(response)}"
        )
    return response[0].content


def beginning(response: Text, end: int) -> Text:
    """The response up to a character."""
    return _between(response, 0, end)


def visible(text: str, ends: Sequence[int]) -> list[Part]:
    """Parts up to each of ``ends`` (rising), without white space around them; blank ones are left out."""
    parts, start = [], 0
    for end in ends:
        part = text[start:end]
        if part.strip():
            parts.append(Part(start + len(part) - len(part.lstrip()), start + len(part.rstrip())))
        start = end
    return parts


def separated(text: str, separator: str) -> list[Part]:
    """What stands between separators."""
    ends = [match.start() for match in re.finditer(re.escape(separator), text)]
    return visible(text, [*ends, len(text)])


def sentences(text: str) -> list[Part]:
    """Up to ``. ! ? …`` (and closing quotes or brackets) before white space, or to the end of a line.

    A full stop behind a single capital letter or a title (Mr, Mrs, Ms, Dr, Prof, St, Mt), or before a word in
    small letters, ends nothing; Chinese and Japanese stops need no white space behind them.
    """
    return _at_marks(text, _SENTENCE)


def subsentences(text: str) -> list[Part]:
    """Sentences, cut further at commas, semicolons and colons before white space."""
    return _at_marks(text, _SUBSENTENCE)


RULES: dict[str, Callable[[str], list[Part]]] = {"sentence": sentences, "subsentence": subsentences}

_CLOSING = r"[\"'”’»)\]」』]*"
_ENDS = rf"[.!?…]+{_CLOSING}(?=\s)|[。！？]+{_CLOSING}|\n"
_SENTENCE = re.compile(_ENDS)
_SUBSENTENCE = re.compile(rf"{_ENDS}|[,;:]{_CLOSING}(?=\s)|[，；：、]{_CLOSING}")
_SHORT = re.compile(r"(?<![^\W_])(?:[A-Z]|Mr|Mrs|Ms|Dr|Prof|St|Mt)$")
_SMALL = re.compile(r"\s+[a-z]")


def _at_marks(text: str, marks: re.Pattern[str]) -> list[Part]:
    ends = [match.end() for match in marks.finditer(text) if not _abbreviates(text, match)]
    return visible(text, [*ends, len(text)])


def _abbreviates(text: str, match: re.Match[str]) -> bool:
    if match.group() != ".":
        return False
    short = _SHORT.search(text, max(0, match.start() - 5), match.start())
    return bool(short or _SMALL.match(text, match.end()))


def _between(response: Text, start: int, end: int) -> Text:
    if isinstance(response, str):
        return response[start:end]
    return (dataclasses.replace(response[0], content=response[0].content[start:end]),)


def _continued(prompt: Text, said: Text) -> Text:
    if isinstance(prompt, str):
        return prompt + str(said)
    assert not isinstance(said, str)
    if not said[0].content:
        return prompt
    if prompt[-1].role == "assistant":  # its own words are continued
        return (*prompt[:-1], Message("assistant", prompt[-1].content + said[0].content))
    return (*prompt, *said)


def _labelled(
    record: Record, prompt: Text, responses: tuple[Text, ...], labels: tuple[float, ...], whole: Text | None
) -> Record:
    return Record(prompt, responses, labels=labels, whole=whole, where=record.where)
