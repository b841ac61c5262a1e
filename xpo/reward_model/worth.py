"""What a saved reward model says of responses and of their parts, for rewards on tokens."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import torch

from xpo.data.record import Record
from xpo.data.segments import content
from xpo.reward_model.saved import SavedReward
from xpo.reward_model.solution import Judged, judged_parts

Parts = tuple[tuple[int, float], ...]
"""Ends in characters of a response, and what stands there."""


def worth(saved: SavedReward, records: Sequence[Record], tokens: int) -> Iterator[tuple[Parts, ...]]:
    """For each record what each response's parts are worth; a model of whole ones speaks at their end.

    A part of a process or span model is worth the probability that it is right (Lightman et al. 2023, arXiv
    2305.20050), members averaged in log-odds; a whole response its score.
    """
    if saved.by_parts:
        for record, said in zip(records, judged_parts(saved, records, tokens), strict=True):
            pairs = zip(record.responses, said, strict=True)
            yield tuple(_of_parts(content(record, response), judged) for response, judged in pairs)
        return
    for record, opinions in zip(records, saved.opinions(records, tokens), strict=True):
        score_K = torch.stack([o.reward_BK for o in opinions]).double().mean(0).tolist()
        ends = [len(content(record, response)) for response in record.responses]
        yield tuple(((end, score),) for end, score in zip(ends, score_K, strict=True))


def _of_parts(text: Any, judged: Judged) -> Parts:
    right_S = torch.sigmoid(judged.logit_MS.double().mean(0)).tolist()
    return tuple((part.end, value) for part, value in zip(judged.parts, right_S, strict=True))
