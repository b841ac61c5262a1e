"""What a saved reward model says of responses and of their parts, for rewards on tokens."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch

from xpo.data.record import Record
from xpo.data.segments import content
from xpo.data.shape import ordered
from xpo.reward_model.saved import SavedReward
from xpo.reward_model.solution import Judged, judged_parts, parts_of

Parts = tuple[tuple[int, float], ...]
"""Ends in characters of a response, and what stands there."""


def worth(saved: SavedReward, records: Sequence[Record], tokens: int) -> Iterator[tuple[Parts, ...]]:
    """For each record what each response's parts are worth; a model of whole ones speaks at their end.

    A part of a process or span model is worth the probability that it is right (Lightman et al. 2023, arXiv
    2305.20050), members averaged in log-odds; a whole response its score. A response without text,
    which a policy may give, has no part.
    """
    if saved.by_parts:
        yield from _of_those_with_parts(saved, records, tokens)
        return
    for record, opinions in zip(records, saved.opinions(records, tokens), strict=True):
        score_K = torch.stack([o.reward_BK for o in opinions]).double().mean(0).tolist()
        ends = [len(content(record, response)) for response in record.responses]
        yield tuple(((end, score),) for end, score in zip(ends, score_K, strict=True))


def _of_those_with_parts(
    saved: SavedReward, records: Sequence[Record], tokens: int
) -> Iterator[tuple[Parts, ...]]:
    kept = [[k for k in range(len(one.responses)) if parts_of(saved, one, k)] for one in records]
    asked = [ordered(record, some) for record, some in zip(records, kept, strict=True) if some]
    answers = judged_parts(saved, asked, tokens)
    for record, some in zip(records, kept, strict=True):
        said = dict(zip(some, next(answers), strict=True)) if some else {}
        yield tuple(_of_parts(said[k]) if k in said else () for k in range(len(record.responses)))


def _of_parts(judged: Judged) -> Parts:
    right_S = torch.sigmoid(judged.logit_MS.double().mean(0)).tolist()
    return tuple((part.end, value) for part, value in zip(judged.parts, right_S, strict=True))
