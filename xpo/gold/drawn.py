"""Drawn responses with drawn labels, through the same components as any other data."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

from xpo.annotator.base import Desk
from xpo.contracts import Row
from xpo.data.counts import Counts
from xpo.data.pool import Pool
from xpo.data.record import Record
from xpo.data.tokenize import tokenize
from xpo.data.truncate import Limits
from xpo.gold import verdicts


def labelled_rows(
    drawn: Sequence[Record], parts: Any, tokenizer: Any, desk: Desk
) -> tuple[list[Row], Counts]:
    """Records as rows with the annotator's labels, and their tally. ``parts`` is the composition."""
    counts = Counts(read=len(drawn))
    if parts.annotator.label_model is None:
        drawn = [verdicts.bare(record) for record in drawn]
    labelled = drawn if parts.feedback.contrasts else parts.annotator(drawn, desk)
    examples = parts.arity(parts.feedback(labelled, counts), counts)
    rows = tokenize(examples, tokenizer, Limits(), counts, ends=parts.reward_level.ends)
    counts.kept = len(rows)
    return rows, counts


def pool_of(train: Sequence[Record], test: Sequence[Record], parts: Any, tokenizer: Any, desk: Desk) -> Pool:
    """Training records whose labels are drawn as they are asked for; held-out ones have theirs."""

    def rows(records: Sequence[Record], draw: str, first: int) -> tuple[list[Row], Counts]:
        return labelled_rows(records, parts, tokenizer, dataclasses.replace(desk, draw=draw, first=first))

    held_out = labelled_rows(test[: parts.eval.rows], parts, tokenizer, desk)[0]
    return Pool.of(train, parts, tokenizer, Limits(), rows=rows, test=held_out)
