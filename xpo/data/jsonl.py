"""Data from files, folders and the hub, in the columns that other tools write."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Any, ClassVar, Literal

from xpo.annotator.base import Desk
from xpo.compose.errors import did_you_mean
from xpo.data.columns import FORMATS, columns_of, detect, misspelt, names
from xpo.data.counts import Counts
from xpo.data.errors import BadRow, DataError
from xpo.data.files import read_rows
from xpo.data.lines import Raw
from xpo.data.parse import parse
from xpo.data.parts import SEPARATOR, require_wrong_steps, separator
from xpo.data.record import Record, Splits
from xpo.data.refusals import refusal
from xpo.data.splits import held_out, mark_shared, shuffled
from xpo.data.standardise import standardised
from xpo.data.truncate import Limits
from xpo.registry import register

HELD_OUT = 0.1  # of the prompts, where nothing says which rows are for testing


@register("data", "jsonl")
@dataclass(frozen=True)
class Jsonl:
    """Rows of JSON lines, JSON, Parquet or Arrow files, of folders, or of ``owner/name`` on the hub.

    The reader follows from the path, the format from the columns of the first row (TRL's names, or
    ``completions`` with ``scores`` or ``ranks``), unless ``format`` says it; rows without labels are for an
    annotator to label. ``step_separator`` stands between the steps of a solution (TRL's ``completions`` with
    ``labels``); ``\\n`` in it is a line break, ``\\t`` a tab. Held out is ``test_path``, ``test_split``, or
    ``test_fraction`` of the prompts (0.1 if none of the three is given). Lengths are in tokens;
    ``max_length`` null is the model's window. ``standardise_scores``: mean 0 and variance 1 over the training
    rows' scores. ``pretraining`` is a file of comparisons for the stage of that name. Raises ``DataError``
    naming file, line and column.
    """

    provides: ClassVar[frozenset[str]] = frozenset(
        {"labels", "spans", "texts", "answers"}
    )  # what may be needed
    certain_labels: ClassVar[bool] = True  # who is preferred is said without a probability
    support: ClassVar[None] = None  # responses are any text

    path: str = ""
    test_path: str | None = None
    test_fraction: float | None = None
    demonstrations: str | None = None
    pretraining: str | None = None
    split: str | None = None
    test_split: str | None = None
    subset: str | None = None
    format: Literal[
        "auto", "preference", "numbered", "list", "unpaired", "scored", "stepwise", "prompts", "demonstration"
    ] = "auto"
    step_separator: str = r"\n"
    columns: dict[str, str | None] = field(default_factory=dict)
    limit: int | None = None
    shuffle_seed: int | None = None
    split_seed: int = 0
    standardise_scores: bool = False
    on_bad_row: Literal["error", "skip"] = "error"
    max_length: int | None = None
    max_prompt_length: int | None = None
    max_response_length: int | None = None
    min_prompt: int = 16
    min_response: int = 16
    on_long_row: Literal["truncate", "drop"] = "truncate"

    def __post_init__(self) -> None:
        given = [
            name for name in ("test_path", "test_split", "test_fraction") if self.__dict__[name] is not None
        ]
        if len(given) > 1:
            raise ValueError(f"{' and '.join(given)} all say what is held out: give one of them")
        if self.test_fraction is not None and not 0.0 <= self.test_fraction < 1.0:
            raise ValueError(f"test_fraction must be at least 0 and below 1, got {self.test_fraction}")
        if not self.step_separator:
            raise ValueError("step_separator must be at least one character: steps would run into each other")
        if self.limit is not None and self.limit < 1:
            raise ValueError(f"limit must be at least 1 row, got {self.limit}")
        self.limits(None)

    @property
    def pretrains(self) -> bool:
        """Whether there are comparisons for a stage before."""
        return self.pretraining is not None

    def limits(self, window: int | None) -> Limits:
        """What fits into ``window`` positions, as far as these options allow it."""
        if window is not None and self.max_length is not None and self.max_length > window:
            raise DataError(
                f"data.max_length={self.max_length} is more than the model's window of {window} positions"
            )
        return Limits(
            max_length=self.max_length if self.max_length is not None else window,
            max_prompt_length=self.max_prompt_length,
            max_response_length=self.max_response_length,
            min_prompt=self.min_prompt,
            min_response=self.min_response,
            on_long_row=self.on_long_row,
        )

    def refusal(self, parts: Any) -> tuple[str, tuple[str, ...]] | None:
        """Files fit any composition as far as can be known before they are read; unread settings do not."""
        return refusal(self, parts)

    def open(self, parts: Any, desk: Desk) -> Any:
        """The run's source of rows; ``parts`` is its composition, ``desk`` its annotator's."""
        from xpo.data.source import FileSource

        return FileSource(self, parts, desk)

    def read(self) -> Splits:
        """All records, and the tally of what was skipped; nothing is tokenised."""
        if not self.path:
            raise DataError("data.path is not set: name a file, a folder or owner/name on the hub")
        counts = {"train": Counts(), "test": Counts()}
        train = self._records(self.path, self.split, counts["train"])
        train = self._limited(train, counts["train"])
        test = self._test(counts)
        require_wrong_steps([*train, *(test or ())], self.path)
        if test is None:
            share = HELD_OUT if self.test_fraction is None else self.test_fraction
            train, test = held_out(train, share, self.split_seed)
            counts["test"].read = len(test)
            counts["train"].read -= len(test)
        else:
            mark_shared(train, test, counts["test"])
        demonstrations: list[Record] = []
        if self.demonstrations is not None:
            counts["demonstrations"] = Counts()
            demonstrations = self._beside(self.demonstrations, counts["demonstrations"])
        others: tuple[Record, ...] = ()
        if self.pretraining is not None:
            others = tuple(self._beside(self.pretraining, counts.setdefault("pretraining", Counts())))
        given = self.demonstrations is not None
        splits = Splits(train, test, demonstrations, counts, given, others)
        return standardised(splits) if self.standardise_scores else splits

    def _limited(self, records: list[Record], counts: Counts) -> list[Record]:
        kept = shuffled(records, self.shuffle_seed)[: self.limit]
        if len(kept) < len(records):
            counts.drop("beyond data.limit", len(records) - len(kept))
        return kept

    def _test(self, counts: dict[str, Counts]) -> list[Record] | None:
        if self.test_path is None and self.test_split is None:
            return None
        split = self.test_split if self.test_path is None else None
        return self._records(self.test_path or self.path, split, counts["test"])

    def _beside(self, path: str, counts: Counts) -> list[Record]:
        handler = self._handler(counts)
        rows = read_rows(path, handler)
        return _parsed(rows, "auto", {}, path, counts, handler, separator(self.step_separator))

    def _records(self, path: str, split: str | None, counts: Counts) -> list[Record]:
        handler = self._handler(counts)
        rows = read_rows(path, handler, split=split, subset=self.subset)
        columns = {ours: theirs for ours, theirs in self.columns.items() if theirs is not None}
        between = separator(self.step_separator)
        return _parsed(rows, self.format, columns, path, counts, handler, between)

    def _handler(self, counts: Counts) -> Callable[[BadRow], None]:
        return partial(_count, counts) if self.on_bad_row == "skip" else _stop


def _stop(error: BadRow) -> None:
    raise error


def _count(counts: Counts, error: BadRow) -> None:
    counts.drop(f"bad row: {error.kind}")


def _parsed(
    rows: list[Raw],
    form: str,
    columns: dict[str, str],
    path: str,
    counts: Counts,
    on_bad: Callable[[BadRow], None],
    between: str,
) -> list[Record]:
    counts.read = len(rows) + counts.dropped.total()
    found = list(dict.fromkeys(column for _, row in rows for column in row))
    known = names(found, columns, path)
    if form == "auto":
        form = detect([[o for o, t in known.items() if t in row] for _, row in rows], found, path)
        if form == "stepwise" and "completions" in known:
            counts.note("completions with labels read as the steps of one solution (else: data.format=list)")
    read = columns_of(form, known)
    _note_columns(read, found, counts)
    records = []
    for where, row in rows:
        try:
            records.append(_record(form, read, row, where, between))
        except BadRow as error:
            on_bad(error)
    return records


def _record(form: str, read: dict[str, str], row: dict[str, Any], where: str, between: str) -> Record:
    values = {ours: row[theirs] for ours, theirs in read.items() if theirs in row}
    for column in FORMATS[form].required:
        if column not in values:
            there = ", ".join(row) or "none"
            problem = f"column {column!r} is missing (found: {there}).{did_you_mean(column, row)}"
            raise BadRow(where, "missing column", problem, FORMATS[form].example)
    record = parse(form, {**values, SEPARATOR: between}, where)
    problem = "" if record.labelled else misspelt(form, row.keys() - read.values())
    if problem:
        raise BadRow(where, "missing column", problem, FORMATS[form].example)
    return record


def _note_columns(read: dict[str, str], found: list[str], counts: Counts) -> None:
    counts.unread = tuple(column for column in found if column not in read.values())
    for ours, theirs in read.items():
        if ours != theirs:
            counts.note(f"column {theirs!r} read as {ours!r}")
