"""Rows from files, folders and the hub, for a run."""

from __future__ import annotations

import contextlib
import copy
import dataclasses
import hashlib
from collections.abc import Iterable, Mapping
from typing import Any

from xpo.annotator.base import Desk, content_key
from xpo.data.build import Pipeline, Prepared, prepare, prepare_demonstrations, texts
from xpo.data.counts import Counts, table
from xpo.data.errors import BarePrompt, DataError
from xpo.data.label import Labelled, label, objection
from xpo.data.notice import check_steps, no_labels_yet, nothing_to_imitate, one_class
from xpo.data.pool import Pool, pool_of_files
from xpo.data.prompts import Prompts, prompts_of, room_of, said_in_text
from xpo.data.questions import check_questions
from xpo.data.record import Record, Splits
from xpo.run.progress import Bar, progress
from xpo.run.say import say
from xpo.stages.source import Policy, Rows


class FileSource:
    """Reads and labels at once, so that bad data end a run before its model is loaded.

    Annotators that need the policy label when it is there. ``parts`` is the composition.
    """

    tokenizer = None
    support = None
    renews = False

    def __init__(self, option: Any, parts: Any, desk: Desk) -> None:
        self._pipeline = Pipeline(
            option,
            parts.annotator,
            parts.feedback,
            parts.arity,
            parts.reward_level,
            nested=parts.reward.trains_head,
            together=parts.reward.trains_head and parts.reward.together,
        )
        self._parts = parts
        self._needs: frozenset[str] = parts.needs
        self._splits: Splits = option.read()
        if parts.sampling.samples:
            check_questions((*self._splits.train, *self._splits.test), parts.annotator)
        else:
            _check_answered((*self._splits.train, *self._splits.test))
        self._positive = parts.choice("margin") if parts.margin.positive_scores else None
        self.demonstrations_given = self._splits.given
        self._desk = dataclasses.replace(desk, objection=objection(self._pipeline.examples, self._needs))
        self._sampling = parts.sampling
        self._chosen = parts.query.chooses and not parts.sampling.samples  # in rounds, what is labelled
        self._waits = parts.annotator.needs_policy or parts.sampling.samples or self._chosen
        self._labelled = None if self._waits else self._label(self._desk)
        self._prepared: Prepared | None = None
        self._asked: dict[str, Counts] = {}  # of prompts that are to be answered

    def texts(self) -> Iterable[str]:
        return texts(self._splits)

    def tokenize(self, tokenizer: Any, window: int) -> None:
        self._model = tokenizer, window
        if self._labelled is not None:
            self._prepare(self._labelled)

    def demonstrations(self) -> Rows:
        if self._prepared is not None:
            rows, labelled = self._prepared.demonstrations, self._labelled
            why = "" if rows or labelled is None else nothing_to_imitate(labelled.train, self._parts)
            return Rows(rows, why=why)
        if self._chosen and not self._splits.given:
            return Rows([], why="no row is labelled before the first round")
        if not self._splits.given:
            no_labels_yet(self._splits.train, self._parts)
        rows = prepare_demonstrations(self._pipeline, self._model[0], self._splits, self._model[1])
        bare = not any(record.responses for record in self._splits.train)
        return Rows(rows, why="the rows are prompts alone" if bare and not rows else "")

    def pretraining(self) -> Rows:
        return Rows(self._ready.pretraining)

    def rows(self, start: Policy, needs: frozenset[str]) -> Rows:
        if self._waits:
            self._prepare(self._label(dataclasses.replace(self._desk, policy=start)))
        return Rows(self._ready.train, self._ready.test, limits=self._ready.limits)

    def pool(self, start: Policy, needs: frozenset[str]) -> Pool:
        held_out = self._splits.test[: self._parts.eval.rows]

        def ask(splits: Splits, draw: str, first: int) -> Labelled:
            desk = dataclasses.replace(self._desk, policy=start, draw=draw, first=first)
            return self._label(desk, splits)

        splits = dataclasses.replace(self._splits, test=held_out)
        found = pool_of_files(self._pipeline, self._parts, splits, self._model, ask)
        self._asked = {"pool": found.counts}
        return found

    def _label(self, desk: Desk, splits: Splits | None = None) -> Labelled:
        labelled = label(self._pipeline.annotator, self._splits if splits is None else splits, desk)
        records = [*labelled.train, *labelled.test]
        self._pipeline.level.check(records)
        check_steps(records, self._parts)
        if self._positive is not None:
            _check_positive(records, self._positive)
        return labelled

    def _prepare(self, labelled: Labelled) -> None:
        tokenizer, window = self._model
        with contextlib.ExitStack() as bars:
            self._prepared = prepare(
                self._pipeline,
                tokenizer,
                splits=self._splits,
                labelled=labelled,
                window=window,
                needs=self._needs,
                progress=_Bars(bars),
            )
        say(table(self._prepared.counts))
        if "labels" in self._needs:
            for note in one_class(self._prepared.train, self._prepared.test):
                say(note)

    def prompts(self, start: Policy, sampling: Any) -> Prompts:
        """The prompts of the rows, whatever else they hold; those that leave no room to answer are cut."""
        tokenizer, window = self._model
        longest = room_of(self._pipeline.data.limits(window), window, sampling.max_new_tokens)
        splits = {"train": self._splits.train, "test": self._splits.test}
        counts = {split: copy.deepcopy(self._splits.counts.get(split, Counts())) for split in splits}
        train, test = (
            prompts_of(records, tokenizer, sampling, longest, counts[split])
            for split, records in splits.items()
        )
        say(f"{len(train)} prompts to answer, {len(test)} held out\n{table(counts)}")
        self._asked = counts
        return Prompts(train, test, said_in_text(tokenizer))

    def measure(self, start: Policy) -> None:
        """Files know no exact metrics."""
        return None

    def fingerprint(self) -> str:
        if self._sampling.samples or self._chosen:
            prompts = [content_key(record) for record in self._splits.train]
            return hashlib.sha256(repr(prompts).encode()).hexdigest()
        return self._ready.fingerprint

    def counts(self) -> Mapping[str, Any]:
        if self._sampling.samples or self._chosen:
            counts = {**self._splits.counts, **self._asked}
            return {name: tally.as_dict() for name, tally in counts.items()}
        return {name: tally.as_dict() for name, tally in self._ready.counts.items()}

    @property
    def _ready(self) -> Prepared:
        assert self._prepared is not None, (
            "tokenize comes first, or rows where the annotator needs the policy"
        )
        return self._prepared


def _check_answered(records: Iterable[Record]) -> None:
    bare = next((record for record in records if not record.responses), None)
    if bare is not None:
        raise BarePrompt(
            bare.where,
            "this combination trains on responses that are given: add them (xpo explain says which columns), "
            "or sample them (sampling=on_policy)",
        )


def _check_positive(records: Iterable[Record], choice: str) -> None:
    for record in records:
        if record.scores is not None and min(record.scores) <= 0:
            raise DataError(
                f"{record.where}: {choice} takes the logarithm of scores, which must be above 0; this row "
                f"has {min(record.scores):g}"
            )


class _Bars:
    """One bar per split: ``prepare`` tells (texts done, of all) for each split in turn."""

    def __init__(self, open_bars: contextlib.ExitStack) -> None:
        self._open, self._done = open_bars, 0
        self._bar: Bar | None = None

    def __call__(self, done: int, total: int) -> None:
        if self._bar is None:
            self._bar = self._open.enter_context(progress(total, "tokenizing"))
        self._bar.advance(done - self._done)
        self._done = done
        if done >= total:
            self._open.close()
            self._bar, self._done = None, 0
