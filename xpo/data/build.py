"""The data layer's front door: components and a tokenizer in, tokenised rows out."""

from __future__ import annotations

import hashlib
from array import array
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from xpo.arity.list import List as Listwise
from xpo.contracts import Row
from xpo.data.counts import Counts
from xpo.data.errors import DataError
from xpo.data.label import Labelled, label, spoken
from xpo.data.record import Annotator, Arity, Example, Feedback, Record, Splits, Text
from xpo.data.tokenize import Progress, tokenize
from xpo.data.truncate import Limits, for_two
from xpo.feedback.demonstration import Demonstration
from xpo.feedback.preference import Preference
from xpo.reward_level.response import ResponseLevel

_FIELD = {
    "comparisons": "prefer",
    "labels": "good",
    "scores": "scores",
    "wins": "wins",
    "margins": "margins",
    "costs": "costs",
    "demonstrations": "demo",
}
"""Where a row carries each of contracts.FEEDBACK."""

_COLUMN = {
    "comparisons": "chosen and rejected, or completions with scores or ranks",
    "labels": "label, or a pair or list to cut",
    "scores": "scores, score, or score_chosen and score_rejected",
    "wins": "wins, beside completions",
    "demonstrations": "a response to imitate",
    "margins": "margin, or margins beside completions",
    "costs": "costs, beside completions",
}
"""Columns of files that can bring it."""


class Data(Protocol):
    """A data option that reads text (or messages) from somewhere."""

    def read(self) -> Splits: ...
    def limits(self, window: int | None) -> Limits: ...


@dataclass(frozen=True)
class Pipeline:
    """The components that make rows."""

    data: Data
    annotator: Annotator
    feedback: Feedback
    arity: Arity
    level: Any = ResponseLevel()  # what of a record is labelled as one
    nested: bool = False  # what is rewarded is read of all that came before it
    together: bool = False  # two responses are read one after the other
    desk: Any = None  # what the annotator may use of its run (xpo.annotator.base.Desk)

    def examples(self, records: Sequence[Record], counts: Counts) -> list[Example]:
        """What is labelled as one, with its masses."""
        return self.feedback(self.level.units(records, self.nested), counts)

    def whole(self, splits: Splits) -> bool:
        """Whether demonstrations are whole responses, no single steps."""
        taken_apart = self.level.by_spans or any(record.steps is not None for record in splits.train)
        return bool(self.level.ends or splits.given or taken_apart)


@dataclass(frozen=True)
class Prepared:
    """Tokenised rows. ``demonstrations`` are the given ones, else the preferred responses of train."""

    train: list[Row]
    test: list[Row]
    demonstrations: list[Row]
    counts: dict[str, Counts]
    fingerprint: str
    limits: Limits
    demonstrations_given: bool
    pretraining: list[Row]


def texts(splits: Splits) -> Iterator[str]:
    """All training text, each prompt once and each response, to train a tokenizer on."""
    seen: set[Text] = set()
    for record in (*splits.train, *splits.demonstrations, *splits.pretraining):
        if record.prompt not in seen:
            seen.add(record.prompt)
            yield from _strings(record.prompt)
        for response in record.responses:
            yield from _strings(response)


def prepare(
    pipeline: Pipeline,
    tokenizer: Any,
    *,
    splits: Splits | None = None,
    labelled: Labelled | None = None,
    window: int | None = None,
    needs: frozenset[str] = frozenset(),
    progress: Progress | None = None,
) -> Prepared:
    """Read, label, shape and tokenise.

    ``splits``: what ``pipeline.data.read()`` gave, if it was called already; ``labelled``: what ``label``
    made of it. Demonstrations without a file of their own are the responses that the annotator likes best.
    ``window``: the model's number of positions. ``needs``: what the objective declares; rows without it are
    refused. ``progress`` hears of each split's texts in turn. Raises ``DataError`` where nothing is left to
    train on, with the reasons, and where the data lack what is needed.
    """
    splits = pipeline.data.read() if splits is None else splits
    limits = limits_of(pipeline, window)
    if labelled is None:
        labelled = label(pipeline.annotator, splits, pipeline.desk)
    counts = labelled.counts
    stage = Stage(pipeline, tokenizer, limits, progress)
    train = stage.rows(labelled.train, counts["train"])
    test = stage.rows(labelled.test, counts["test"])
    source, tally = splits.demonstrations, counts.get("demonstrations", Counts())
    if not splits.given:
        source, tally = labelled.train, Counts()
    demonstrations = stage.demonstrations(source, tally, pipeline.whole(splits))
    check_rows("train", train, counts["train"], needs)
    others = stage.comparisons(splits.pretraining, counts.get("pretraining", Counts()))
    if splits.given:
        check_rows("demonstrations", demonstrations, tally, frozenset())
    if splits.pretraining:
        check_rows("pretraining", others, counts["pretraining"], frozenset({"comparisons"}))
    if splits.test:
        check_rows("test", test, counts["test"], needs)
    return Prepared(train, test, demonstrations, counts, fingerprint(train), limits, splits.given, others)


def prepare_demonstrations(
    pipeline: Pipeline, tokenizer: Any, splits: Splits, window: int | None, progress: Progress | None = None
) -> list[Row]:
    """The demonstrations alone, which no annotator labels, where the rest has to wait for the policy.

    A prompt without a response demonstrates nothing.
    """
    stage = Stage(pipeline, tokenizer, limits_of(pipeline, window), progress)
    source = splits.demonstrations if splits.given else splits.train
    source = [record for record in source if record.responses]
    return stage.demonstrations(source, Counts(), pipeline.whole(splits))


def limits_of(pipeline: Pipeline, window: int | None) -> Limits:
    """How rows are cut to the model's window. Raises ``DataError`` for limits that it has no room for."""
    try:
        limits = pipeline.data.limits(window)
        return for_two(limits) if pipeline.together else limits
    except DataError:
        raise
    except ValueError as error:
        raise DataError(f"data: {error} (the model's window is {window})") from None


@dataclass(frozen=True)
class Stage:
    """Records to rows, the same way for every split."""

    pipeline: Pipeline
    tokenizer: Any
    limits: Limits
    progress: Progress | None
    known: dict[str, list[int]] = field(default_factory=dict)

    def rows(self, records: Sequence[Record], counts: Counts) -> list[Row]:
        examples = self.pipeline.arity(self.pipeline.examples(records, counts), counts)
        return self._tokenized(examples, counts, self.pipeline.level.ends)

    def demonstrations(self, records: Sequence[Record], counts: Counts, ends: bool) -> list[Row]:
        return self._tokenized(Demonstration()(spoken(records, counts), counts), counts, ends)

    def comparisons(self, records: Sequence[Record], counts: Counts) -> list[Row]:
        """Whole lists with their own labels, whatever annotator and feedback the run has."""
        examples = Listwise()(Preference()(spoken(records, counts), counts), counts)
        return self._tokenized(examples, counts, self.pipeline.level.ends)

    def _tokenized(self, examples: Any, counts: Counts, ends: bool) -> list[Row]:
        rows = tokenize(examples, self.tokenizer, self.limits, counts, self.progress, self.known, ends)
        counts.kept = len(rows)
        return rows


def check_rows(split: str, rows: Sequence[Row], counts: Counts, needs: frozenset[str]) -> None:
    """``DataError`` where nothing is left to train on, and for the first row that lacks what is needed."""
    if not rows:
        halves = " (feedback.ties=half keeps ties, as half a comparison for each side)"
        hint = halves if counts.dropped["tie"] else ""
        raise DataError(f"no row of {split} is left: {counts.read} read, dropped {counts.reasons()}{hint}")
    for need in sorted(needs):
        lacking = next((row for row in rows if getattr(row, _FIELD[need]) is None), None)
        if lacking is not None:
            raise DataError(
                f"{lacking.source}: this combination needs {need} ({_COLUMN[need]}), and this row of {split} "
                "carries none. Add the column, or see `xpo explain` for what reads it."
            )


def fingerprint(rows: Sequence[Row]) -> str:
    """A hash of tokens, masses and order: equal for equal training rows, whatever file they came from."""
    digest = hashlib.sha256()
    for row in rows:
        for ids in (row.prompt, *row.responses):
            digest.update(array("q", [len(ids), *ids]).tobytes())
        masses = [getattr(row, name) for name in _FIELD.values()]
        digest.update(repr((masses, row.bad, row.weight)).encode())
    return digest.hexdigest()


def _strings(text: Text) -> Iterator[str]:
    if isinstance(text, str):
        yield text
    else:
        yield from (message.content for message in text)
