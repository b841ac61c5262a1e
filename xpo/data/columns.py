"""Which column means what: the formats, their detection, and other people's names for columns."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from xpo.compose.errors import did_you_mean
from xpo.data.errors import DataError


@dataclass(frozen=True)
class Format:
    """What a row of one kind must and may have. ``example`` is shown where a row is malformed.

    ``labels``: a row without any of these is read too, for an annotator to label it. ``bare``: a row that has
    other columns that we know is one of another kind, which lacks something.
    """

    required: tuple[str, ...]
    optional: tuple[str, ...]
    example: str
    labels: tuple[str, ...] = ()
    bare: bool = False

    def fits(self, signs: frozenset[str], columns: set[str]) -> bool:
        """Whether a row with these columns is one."""
        return signs <= columns and not (self.bare and columns - {*self.required, *self.optional})


FORMATS = {
    "preference": Format(
        ("chosen", "rejected"),
        ("prompt", "score_chosen", "score_rejected", "margin", "answer", "models")
        + ("label_chosen", "label_rejected"),
        '{"prompt": "What is 2 + 2?", "chosen": " 4.", "rejected": " 5."}',
    ),
    "numbered": Format(
        ("prompt", "response_0", "response_1"),
        ("preferred_id", "label_0", "label_1", "answer", "models"),
        '{"prompt": "What is 2 + 2?", "response_0": " 5.", "response_1": " 4.", "preferred_id": 1}',
        labels=("preferred_id",),
    ),
    "list": Format(
        ("prompt", "completions"),
        ("scores", "ranks", "wins", "margins", "costs", "labels", "answer", "models", "spans"),
        '{"prompt": "What is 2 + 2?", "completions": [" 4.", " 5.", " 22."], "scores": [1.0, 0.2, 0.0]}',
        labels=("scores", "ranks"),
    ),
    "unpaired": Format(
        ("prompt", "completion"),
        ("label", "answer", "spans"),
        '{"prompt": "What is 2 + 2?", "completion": " 4.", "label": true}',
        labels=("label",),
    ),
    "scored": Format(
        ("prompt", "completion", "score"),
        ("answer",),
        '{"prompt": "What is 2 + 2?", "completion": " 4.", "score": 0.9}',
    ),
    "stepwise": Format(
        ("prompt",),
        ("completions", "labels", "completion", "steps", "answer"),
        '{"prompt": "What is 2+2*3?", "completions": ["2 * 3 = 6.", "6 + 2 = 9."], "labels": [true, false]}',
    ),
    "prompts": Format(
        ("prompt",),
        ("answer",),
        '{"prompt": "What is 2 + 2?", "answer": "4"} for runs that sample their responses',
        bare=True,
    ),
    "demonstration": Format(
        (),
        ("prompt", "completion", "messages", "text", "answer"),
        '{"prompt": "What is 2 + 2?", "completion": " 4."}, {"messages": [...]} or {"text": "..."}',
    ),
}

_SIGNS: tuple[tuple[str, frozenset[str]], ...] = (
    ("preference", frozenset({"chosen", "rejected"})),
    ("numbered", frozenset({"prompt", "response_0", "response_1"})),
    ("list", frozenset({"prompt", "completions", "scores"})),
    ("list", frozenset({"prompt", "completions", "ranks"})),
    ("stepwise", frozenset({"prompt", "completions", "labels"})),
    ("list", frozenset({"prompt", "completions"})),
    ("unpaired", frozenset({"prompt", "completion", "label"})),
    ("scored", frozenset({"prompt", "completion", "score"})),
    ("stepwise", frozenset({"prompt", "completion", "steps"})),
    ("unpaired", frozenset({"prompt", "completion", "spans"})),
    ("demonstration", frozenset({"prompt", "completion"})),
    ("demonstration", frozenset({"messages"})),
    ("demonstration", frozenset({"text"})),
    ("prompts", frozenset({"prompt"})),
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
    "preferred_id": ("safer_response_id", "better_response_id"),
    "label_chosen": ("safe_chosen",),
    "label_rejected": ("safe_rejected",),
    "label_0": ("is_response_0_safe",),
    "label_1": ("is_response_1_safe",),
}

CANONICAL = tuple(
    dict.fromkeys(name for form in FORMATS.values() for name in (*form.required, *form.optional))
)


def misspelt(form: str, unread: Iterable[str]) -> str:
    """What is said of a row without labels that has a column nearly of their name; else nothing."""
    labels = FORMATS[form].labels
    for column in unread:
        near = difflib.get_close_matches(column, labels, n=1, cutoff=0.8)
        if near:
            named = " or ".join(map(repr, labels))
            return f"no column {named}, and nothing reads {column!r}. Did you mean {near[0]!r}?"
    return ""


def columns_of(form: str, known: Mapping[str, str]) -> dict[str, str]:
    """Those of the known columns that rows of this format have; each of the file's is read once."""
    read: dict[str, str] = {}
    for ours in (*FORMATS[form].required, *FORMATS[form].optional):
        if ours in known and known[ours] not in read.values():
            read[ours] = known[ours]
    return read


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
            if FORMATS[form].fits(signs, columns):
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
