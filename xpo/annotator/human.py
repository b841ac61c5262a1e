"""The labels that the data bring along, and those that a person gives to the rest."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from xpo.annotator.base import Desk, LabelError, content_key
from xpo.annotator.store import Store
from xpo.contracts import FEEDBACK
from xpo.data.errors import DataError
from xpo.data.record import Record
from xpo.errors import Waiting
from xpo.labelling.asked import FILE, WAYS, Asked, asked_of, objection_to, read_asked, ways_for, with_label
from xpo.labelling.asked import write_asked as write
from xpo.registry import register
from xpo.run.say import shown

_TRIALS = {"choice": 1, "scores": None, "label": True}


@register("annotator", "human")
@dataclass(frozen=True)
class Human:
    """The data set's own labels, unchanged. Who gave them (people, a judge) the data set knows.

    Rows that lack a label which their feedback reads are written to ``to_label.jsonl`` in the run's folder,
    and ``Waiting`` is raised. When they are labelled (``xpo label``, or by hand in that file) the same run
    goes on. Labels are kept by content in the cache folder, so that other runs need not ask again. Where
    there is no run (``xpo inspect``) such rows stay as they are. Raises ``DataError`` with file and line for
    what is no label, ``LabelError`` for a row that no label of a person makes fit for training.
    """

    needs: ClassVar[frozenset[str]] = frozenset({"labels"})
    gives: ClassVar[frozenset[str]] = FEEDBACK
    needs_policy: ClassVar[bool] = False
    quadratic: ClassVar[bool] = False
    compares: ClassVar[bool] = False  # it says nothing of a response alone
    of_data: ClassVar[bool] = True  # what the data say of their own responses
    judges_parts: ClassVar[bool] = False  # verdicts say what parts of responses are worth
    cuts_scores: ClassVar[bool] = False  # a threshold of its own says which responses are good
    first: ClassVar[bool] = False  # something is trained before it can label
    label_model: ClassVar[None] = None

    def fingerprint(self, desk: Desk) -> str:
        """Labels are part of the data."""
        return repr(self)

    def __call__(self, records: Sequence[Record], desk: Desk | None = None) -> list[Record]:
        if desk is None or not any(_lacks_label(record, desk) for record in records):
            return list(records)
        answers = _Answers(desk)
        found = [answers.labelled(record) if _lacks_label(record, desk) else record for record in records]
        unlabelled = [record for record, answer in zip(records, found, strict=True) if answer is None]
        if unlabelled and desk.out is not None:
            answers.ask(unlabelled)
            raise Waiting(_wanted(unlabelled[0], desk), len(unlabelled), len(records))
        return [record if answer is None else answer for record, answer in zip(records, found, strict=True)]


class _Answers:
    """What persons said: in the file of this run, else in an earlier one."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._store = Store(desk.cache / "labels" / "human.jsonl")
        self._path = None if desk.out is None else desk.out / FILE
        there = self._path is not None and self._path.is_file()
        self._file = {row.key: row for row in read_asked(self._path)} if there and self._path else {}

    def labelled(self, record: Record) -> Record | None:
        """The record with a person's label; None if nobody gave one that can be trained on."""
        key, size = content_key(record), len(record.responses)
        row = self._file.get(key)
        if row is not None and row.said is not None:
            self._check(record, row)
            if self._store.get(key) != row.said:
                self._store.put(key, dict(row.said))
            return with_label(record, row.said)
        known = self._store.get(key)
        if (
            not isinstance(known, dict)
            or objection_to(known, size)
            or _objection(with_label(record, known), self._desk)
        ):
            return None
        return with_label(record, known)

    def ask(self, records: Sequence[Record]) -> None:
        """Write down those that the file does not have yet."""
        assert self._path is not None
        rows = dict(self._file)
        for record in records:
            key = content_key(record)
            if key not in rows:
                rows[key] = asked_of(record, self._ways(record))
        if len(rows) > len(self._file):
            write(self._path, list(rows.values()))

    def _ways(self, record: Record) -> tuple[str, ...]:
        """What a person may say of it such that it can be trained on."""
        size = len(record.responses)
        trials = {way: with_label(record, _trial(way, size)) for way in ways_for(size)}
        problems = {way: _objection(trial, self._desk, kept=True) for way, trial in trials.items()}
        fit = tuple(way for way, problem in problems.items() if not problem)
        if not fit:
            raise LabelError(problems[ways_for(size)[0]])
        return fit

    def _check(self, record: Record, row: Asked) -> None:
        assert row.said is not None
        at = f"{self._path}:{row.line}"
        problem = objection_to(row.said, len(record.responses))
        problem = problem or _objection(with_label(record, row.said), self._desk)
        if problem:
            raise DataError(f"{at}: this label cannot be used: {problem}")


def _lacks_label(record: Record, desk: Desk) -> bool:
    """A response that is only imitated needs none."""
    return not record.labelled and (desk.objection is None or bool(desk.objection(record)))


def _objection(record: Record, desk: Desk, kept: bool = False) -> str:
    return "" if desk.objection is None else desk.objection(record, kept)


def _trial(way: str, size: int) -> dict[str, Any]:
    return {way: list(range(size, 0, -1)) if way == "scores" else _TRIALS[way]}


def _wanted(first: Record, desk: Desk) -> str:
    assert desk.out is not None
    out = shown(desk.out)
    fields = "; ".join(f"{way}: {what}" for way, what in WAYS.items())
    return (
        f"rows have no label (the first is {first.where}).\nLabel them with: xpo label {out}\nor by hand in "
        f"{shown(desk.out / FILE)} ({fields}).\nThen start the same command again with hydra.run.dir={out}; "
        "labels that were given are kept."
    )
