"""Which column means what: the formats, their detection, and other people's names for columns."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from xpo.compose.errors import did_you_mean
from xpo.data.errors import DataError


@dataclass(frozen=True)
class Format:
    """What a row of one kind must and may have. ``example`` is shown where a row is malformed."""

    required: tuple[str, ...]
    optional: tuple[str, ...]
    example: str


FORMATS = {
    "preference": Format(
        ("chosen", "rejected"),
        ("prompt", "score_chosen", "score_rejected", "margin"),
        '{"prompt": "What is 2 + 2?", "chosen": " 4.", "rejected": " 5."}',
    ),
    "list": Format(
        ("prompt", "completions"),
        ("scores", "ranks", "wins", "margins"),
        '{"prompt": "What is 2 + 2?", "completions": [" 4.", " 5.", " 22."], "scores": [1.0, 0.2, 0.0]}',
    ),
    "unpaired": Format(
        ("prompt", "completion", "label"),
        (),
        '{"prompt": "What is 2 + 2?", "completion": " 4.", "label": true}',
    ),
    "scored": Format(
        ("prompt", "completion", "score"),
        (),
        '{"prompt": "What is 2 + 2?", "completion": " 4.", "score": 0.9}',
    ),
    "demonstration": Format(
        (),
        ("prompt", "completion", "messages", "text"),
        '{"prompt": "What is 2 + 2?", "completion": " 4."}, {"messages": [...]} or {"text": "..."}',
    ),
}

_SIGNS: tuple[tuple[str, frozenset[str]], ...] = (
    ("preference", frozenset({"chosen", "rejected"})),
    ("list", frozenset({"prompt", "completions"})),
    ("unpaired", frozenset({"prompt", "completion", "label"})),
    ("scored", frozenset({"prompt", "completion", "score"})),
    ("demonstration", frozenset({"prompt", "completion"})),
    ("demonstration", frozenset({"messages"})),
    ("demonstration", frozenset({"text"})),
)

_ALIASES = {
    "prompt": ("context", "question", "instruction"),
    "completion": ("response", "output", "answer"),
    "completions": ("responses", "answers"),
    "chosen": ("chosen_response",),
    "rejected": ("rejected_response",),
    "score_chosen": ("chosen_score",),
    "score_rejected": ("rejected_score",),
    "messages": ("conversations", "conversation"),
}

CANONICAL = tuple(
    dict.fromkeys(name for form in FORMATS.values() for name in (*form.required, *form.optional))
)


def names(found: Iterable[str], mapping: Mapping[str, str], path: str) -> dict[str, str]:
    """Our name -> the file's name, for each column that we know.

    ``mapping`` (``data.columns``) wins, then our own names, then what others call them. Raises
    ``DataError`` for a mapping from a name that is not ours, or to a column that is not there.
    """
    there = list(found)
    for ours, theirs in mapping.items():
        if ours not in CANONICAL:
            raise DataError(
                f"data.columns.{ours}: no such column is ever read; the names are "
                f"{', '.join(CANONICAL)}.{did_you_mean(ours, CANONICAL)}"
            )
        if theirs not in there:
            raise DataError(
                f"data.columns.{ours}={theirs}: {path} has no column {theirs!r}; it has {', '.join(there)}."
                f"{did_you_mean(theirs, there)}"
            )
    taken = dict(mapping)
    for ours in CANONICAL:
        candidates = (ours, *_ALIASES.get(ours, ()))
        theirs = next((name for name in candidates if name in there and name not in mapping.values()), None)
        if ours not in taken and theirs is not None:
            taken[ours] = theirs
    return taken


def detect(rows: Iterable[Iterable[str]], found: Iterable[str], path: str) -> str:
    """The format of a file: that of the first row whose columns (our names) show one.

    Raises ``DataError`` with the nearest format, and a valid row of each.
    """
    best: tuple[int, str] = (0, "")
    for row in rows:
        columns = set(row)
        for form, signs in _SIGNS:
            if signs <= columns:
                return form
            lacking = ", ".join(sorted(signs - columns))
            best = max(
                best, (len(signs & columns - {"prompt"}), f" As rows of {form!r} they lack {lacking}.")
            )
    there = list(found)
    near = "".join(did_you_mean(name, CANONICAL) for name in there if name not in CANONICAL)
    is_what = f"{path}: cannot tell what its rows are from the columns {', '.join(there) or 'none'}"
    shown = "\n".join(f"  {name:<13} {form.example}" for name, form in FORMATS.items())
    raise DataError(
        f"{is_what}.{best[1]}{near}\nRows that can be read:\n{shown}\n"
        "Other names: data.columns.prompt=theirs; a choice: data.format."
    )
