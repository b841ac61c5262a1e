"""Given responses that nobody has labelled yet, and what becomes of those that somebody has."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from xpo.contracts import Row
from xpo.data.build import Pipeline, Stage, limits_of
from xpo.data.counts import Counts
from xpo.data.label import Labelled, spoken
from xpo.data.record import Example, Record, Splits
from xpo.data.tokenize import tokenize
from xpo.data.truncate import Limits

Ask = Callable[[Splits, str, int], Labelled]
"""Splits, the draw's name, and where its places begin."""


@dataclass(frozen=True)
class Pool:
    """What of a run's records may be labelled.

    ``candidates``: prompt and responses of each of ``records`` as tokens, without any label. ``rows(records,
    draw, first)`` has records labelled and makes rows of them, with a tally; ``draw`` names the round, in
    which their places begin at ``first``. ``test`` is labelled as in any run. ``counts`` tells of records
    that are no candidates.
    """

    records: Sequence[Record]
    candidates: Sequence[Row]
    rows: Callable[[Sequence[Record], str, int], tuple[list[Row], Counts]]
    test: Sequence[Row]
    limits: Limits
    counts: Counts

    @classmethod
    def of(cls, records: Sequence[Record], parts: Any, tokenizer: Any, limits: Limits, **rest: Any) -> Pool:
        """A pool of what is left of records as tokens; ``parts`` is the composition.

        Where responses are compared, a prompt with one of them is not worth a label.
        """
        counts = Counts(read=len(records))
        least = max(parts.arity.sizes[0], 2 if parts.query.reads_odds else 1)
        enough = [record for record in records if len(record.responses) >= least]
        counts.drop(f"fewer than {least} responses", len(records) - len(enough))
        records = spoken(enough, counts)
        bare = [
            Example(record.prompt, record.responses, whole=record.whole, where=str(place))
            for place, record in enumerate(records)
        ]
        rows = tokenize(bare, tokenizer, limits, counts, ends=parts.reward_level.ends)
        counts.kept = len(rows)
        kept = [records[int(row.source)] for row in rows]
        named = [
            dataclasses.replace(row, source=record.where) for row, record in zip(rows, kept, strict=True)
        ]
        return cls(kept, named, limits=limits, counts=counts, **rest)


def pool_of_files(
    pipeline: Pipeline, parts: Any, splits: Splits, model: tuple[Any, int | None], ask: Ask
) -> Pool:
    """The training records as a pool. ``ask`` labels splits for a named draw, held-out records at once.

    ``parts`` is the composition, ``model`` a tokenizer and its window.
    """
    tokenizer, window = model
    stage = Stage(pipeline, tokenizer, limits_of(pipeline, window), None)

    def rows(records: Sequence[Record], draw: str, first: int) -> tuple[list[Row], Counts]:
        counts = {"train": Counts(read=len(records))}
        labelled = ask(dataclasses.replace(splits, train=list(records), test=[], counts=counts), draw, first)
        return stage.rows(labelled.train, labelled.counts["train"]), labelled.counts["train"]

    held_out = ask(dataclasses.replace(splits, train=[], counts={}), "held out", 0)
    test = stage.rows(held_out.test, held_out.counts["test"])
    return Pool.of(splits.train, parts, tokenizer, stage.limits, rows=rows, test=test)
