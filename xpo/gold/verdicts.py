"""Another labeller's verdicts on the gold world's responses, as exact labels of all of them."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from xpo.data.counts import Counts
from xpo.data.errors import DataError
from xpo.data.record import Record
from xpo.gold.labels import Labels
from xpo.gold.world import World

_EXACT = 1e-6  # of log-odds, so that they are differences of one reward


def bare(record: Record) -> Record:
    """The record without what the world knows of its responses, for those who are to find out."""
    return dataclasses.replace(
        record, ranks=None, scores=None, labels=None, wins=None, margins=None, costs=None
    )


def whole_lists(world: World, nodes: Sequence[int]) -> list[Record]:
    """One record for each prompt, with these responses (all of them, or the steps after one prefix)."""
    responses = tuple(f" {world.response_texts[n]}" for n in nodes)
    return [
        Record(prompt, responses, where=f"gold:population {x + 1}")
        for x, prompt in enumerate(world.prompt_texts)
    ]


def labels_of(records: Sequence[Record], feedback: Any, ref_RK: Tensor | None = None) -> Labels:
    """What labelled records of equal length say, as the feedback takes it.

    Comparisons are win probabilities where the feedback reads them (``soft_masses``), else certain: whoever
    is likelier to win, or has the higher score where nobody said, is preferred, and equal ones tie. With
    ``ref_RK`` labels of single responses too, by the feedback's own cut over the whole list (at its mean: of
    all responses, each once), per mass of the reference on responses that are good or bad. Raises
    ``DataError`` for records that say nothing of this.
    """
    score_RK = torch.tensor([_scores(record) for record in records], dtype=torch.float64)
    labels = _soft(score_RK, records) if feedback.soft_masses else _certain(score_RK, records)
    costs = [record.costs for record in records if record.costs is not None]
    if len(costs) == len(records):
        labels = dataclasses.replace(labels, cost_K=torch.tensor(costs, dtype=torch.float64))
    if ref_RK is None:
        return labels
    side_RK = torch.tensor([_sides(record, feedback) for record in records], dtype=torch.float64)
    judged_R1 = (ref_RK * side_RK.abs()).sum(1, keepdim=True)
    share_RK = torch.where(judged_R1 > 0, side_RK / judged_R1, 0.0)
    return dataclasses.replace(labels, good_K=share_RK.clamp(min=0), bad_K=(-share_RK).clamp(min=0))


def pointwise(win_KK: Tensor) -> Tensor | None:
    """The reward whose differences are the log-odds of winning; None where there is none."""
    log_odds_KK = torch.logit(win_KK)
    reward_K = log_odds_KK[..., :, 0]
    differences_KK = reward_K[..., :, None] - reward_K[..., None, :]
    return reward_K if torch.allclose(differences_KK, log_odds_KK, rtol=0, atol=_EXACT) else None


def _scores(record: Record) -> Sequence[float]:
    if record.scores is not None:
        return record.scores
    if record.labels is not None:
        return [float(label) for label in record.labels]
    raise DataError(f"{record.where}: the annotator gave no scores, wins or labels")


def _soft(score_RK: Tensor, records: Sequence[Record]) -> Labels:
    win_RKK = torch.tensor([_wins(record) for record in records], dtype=torch.float64)
    return Labels(score_RK, win_RKK, torch.zeros_like(win_RKK), reward_K=pointwise(win_RKK))


def _certain(score_RK: Tensor, records: Sequence[Record]) -> Labels:
    ahead_RKK = score_RK[:, :, None] - score_RK[:, None, :]
    if all(record.wins is not None for record in records):
        ahead_RKK = torch.tensor([_wins(record) for record in records], dtype=torch.float64) - 0.5
    return Labels(score_RK, (ahead_RKK.sign() + 1) / 2, (ahead_RKK == 0).double())


def _wins(record: Record) -> Sequence[Sequence[float]]:
    if record.wins is None:
        raise DataError(f"{record.where}: feedback reads win probabilities, and the annotator gave none")
    return record.wins


def _sides(record: Record, feedback: Any) -> list[float]:
    """+1 good, -1 bad, 0 neither: what the feedback makes of each response."""
    sides = dict.fromkeys(record.responses, 0.0)
    for example in feedback([record], Counts()):
        assert example.good is not None and example.bad is not None, "it gives labels"
        for response, good, bad in zip(example.responses, example.good, example.bad, strict=True):
            sides[response] = float((good > 0) - (bad > 0))
    return [sides[response] for response in record.responses]
