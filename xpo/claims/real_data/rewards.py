"""Held-out lists as a reward model ranks them, beside what length alone would say."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
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


@dataclass(frozen=True)
class Beside:
    """Of one list: how many pairs a model and length alone order rightly, and how many are compared."""

    right: float
    by_length: float
    pairs: int


def beside_length(
    values: Sequence[Sequence[float]], records: Sequence[Record], tie: float = 0.0
) -> list[Beside]:
    """By list, the pairs that these values order rightly, beside longer-is-better.

    Pairs whose scores differ by less than ``tie`` are not compared; lists without any other are left out.
    Length is in characters; a tie counts half.
    """
    found = []
    for value, record in zip(values, records, strict=True):
        assert record.merit is not None
        lengths = [float(len(str(response))) for response in record.responses]
        right, by_length = (ranking_accuracy(v, record.merit, tie) for v in (value, lengths))
        if right is None or by_length is None:
            continue
        pairs = sum(a > b and a - b >= tie for a in record.merit for b in record.merit)
        found.append(Beside(right * pairs, by_length * pairs, pairs))
    return found


def accuracy(lists: Sequence[Beside]) -> float:
    """Over all pairs."""
    return sum(one.right for one in lists) / sum(one.pairs for one in lists)
