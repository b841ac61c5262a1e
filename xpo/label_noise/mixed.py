"""Masses of labels mixed with those of the opposite labels."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

from xpo.contracts import Batch


@dataclass(frozen=True)
class Rate:
    """``rate``: the share of labels that are taken for flipped."""

    rate: float = 0.1

    def __post_init__(self) -> None:
        if not 0 < self.rate < 0.5:
            raise ValueError(f"rate must be above 0 and below 0.5, got {self.rate} (see label_noise=none)")


def mixed(batch: Batch, own: float, opposite: float) -> Batch:
    """``own`` times each comparison's or label's mass plus ``opposite`` times that of its opposite."""
    prefer, good, bad = batch.prefer_BKK, batch.good_BK, batch.bad_BK
    if prefer is not None:
        prefer = own * prefer + opposite * prefer.transpose(1, 2)
    if good is not None and bad is not None:
        good, bad = own * good + opposite * bad, own * bad + opposite * good
    return dataclasses.replace(batch, prefer_BKK=prefer, good_BK=good, bad_BK=bad)
