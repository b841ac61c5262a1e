"""Annotated answers to rows of given responses, through the same components as any other data."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import torch

from xpo.contracts import Row
from xpo.data.counts import Counts
from xpo.data.record import Example
from xpo.data.shape import ordered
from xpo.data.spoken import said_by
from xpo.data.tokenize import distinct
from xpo.on_policy.answered import Answered


def rows_of(
    answers: Sequence[Answered], parts: Any, counts: Counts, generator: torch.Generator, turn: int = 1
) -> list[Row]:
    """Which answers are kept, what they are compared with, and their masses; ``turn`` is the round's number.

    Rows hold the tokens that were sampled. What cannot be used is dropped through ``counts``.
    """
    kept = parts.sampling.choose([answer.values for answer in answers], generator, turn)
    counts.read += len(answers)
    records = [
        ordered(answer.record, [*chosen, *answer.others])
        for answer, chosen in zip(answers, kept, strict=True)
        if chosen
    ]
    counts.drop("no response kept", len(answers) - len(records))
    prompts = {answer.record.prompt: answer.prompt.ids for answer in answers}
    examples: list[Example] = []
    for record in records:
        if parts.arity.sizes == (1, 1) and parts.feedback.gives == {"demonstrations"}:
            if parts.sampling.reads_values:  # chosen already, by what they are worth
                record = dataclasses.replace(record, labels=None)
            alone = (ordered(record, [k]) for k in range(len(record.responses)))
            examples += parts.feedback(list(alone), counts)
        else:
            examples += parts.feedback([record], counts)
    rows = [_row(example, prompts[example.prompt], counts) for example in parts.arity(examples, counts)]
    found = [row for row in rows if row is not None]
    counts.kept += len(found)
    return found


def _row(example: Example, prompt: Sequence[int], counts: Counts) -> Row | None:
    said = said_by(example)
    assert said is not None, "answers were sampled"
    row = distinct(example, list(prompt), said, counts)
    return None if row is None else dataclasses.replace(row, source=example.where)
