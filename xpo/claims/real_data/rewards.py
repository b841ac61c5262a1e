"""Held-out lists as a reward model ranks them, beside what length alone would say."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch
import yaml

from xpo.claims.real_data.statistics import ranking_accuracy
from xpo.data.record import Record
from xpo.reward_model.saved import load_reward


def held_out_records(run: Path) -> list[Record]:
    """The test rows of a finished run as texts, those with an order."""
    from xpo.compose import build

    config = yaml.safe_load((run / "config.yaml").read_text(encoding="utf-8"))
    records = build(config).data.read().test
    return [record for record in records if record.merit is not None and all(record.responses)]


def rewards(folder: Path, records: Sequence[Record]) -> list[list[float]]:
    """What a run's ``model/`` says of each record's responses, the mean over its members."""
    return [
        torch.stack([opinion.reward_BK for opinion in members]).mean(0).tolist()
        for members in load_reward(str(folder), "model.path").opinions(records)
    ]


def beyond_length(
    values: Sequence[Sequence[float]], records: Sequence[Record], tie: float = 0.0
) -> tuple[list[float], list[float]]:
    """By list, the accuracy of these values, and how much better it is than that of longer-is-better.

    Pairs whose scores differ by less than ``tie`` are not compared; lists without any other are left out.
    Length is in characters.
    """
    right, gained = [], []
    for value, record in zip(values, records, strict=True):
        assert record.merit is not None
        lengths = [float(len(str(response))) for response in record.responses]
        found = ranking_accuracy(value, record.merit, tie), ranking_accuracy(lengths, record.merit, tie)
        if found[0] is not None and found[1] is not None:
            right.append(found[0])
            gained.append(found[0] - found[1])
    return right, gained
