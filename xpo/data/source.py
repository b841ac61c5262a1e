"""Rows from files, folders and the hub, for a run."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from xpo.data.build import Pipeline, Prepared, prepare, texts
from xpo.data.counts import table
from xpo.data.record import Splits
from xpo.run.progress import progress
from xpo.stages.source import Policy, Rows


class FileSource:
    """Reads at once, so that bad data end a run before its model is loaded; ``parts`` is the composition."""

    tokenizer = None
    support = None

    def __init__(self, option: Any, parts: Any) -> None:
        self._pipeline = Pipeline(option, parts.annotator, parts.feedback, parts.arity)
        self._needs = parts.objective.needs | parts.sft.needs
        if parts.reward.relabels:
            self._needs |= {parts.reward_form.reads}
        self._splits: Splits = option.read()
        self.demonstrations_given = self._splits.given
        self._prepared: Prepared | None = None

    def texts(self) -> Iterable[str]:
        return texts(self._splits)

    def tokenize(self, tokenizer: Any, window: int) -> None:
        splits = self._splits
        count = sum(len(part) for part in (splits.train, splits.test, splits.demonstrations))
        with progress(count, "tokenizing") as bar:
            self._prepared = prepare(
                self._pipeline,
                tokenizer,
                splits=splits,
                window=window,
                needs=self._needs,
                progress=_Steps(bar),
            )
        print(table(self._prepared.counts))

    def demonstrations(self) -> Rows:
        return Rows(self._ready.demonstrations)

    def rows(self, start: Policy, needs: frozenset[str]) -> Rows:
        return Rows(self._ready.train, self._ready.test, limits=self._ready.limits)

    def measure(self, start: Policy) -> None:
        """Files know no exact metrics."""
        return None

    def fingerprint(self) -> str:
        return self._ready.fingerprint

    def counts(self) -> Mapping[str, Any]:
        return {name: tally.as_dict() for name, tally in self._ready.counts.items()}

    @property
    def _ready(self) -> Prepared:
        assert self._prepared is not None, "tokenize comes first"
        return self._prepared


class _Steps:
    """``prepare`` tells (done, of all) for each split in turn; a bar wants what has been added."""

    def __init__(self, bar: Any) -> None:
        self._bar, self._done = bar, 0

    def __call__(self, done: int, total: int) -> None:
        self._bar.advance(done - self._done if done >= self._done else done)
        self._done = 0 if done == total else done
