"""What two deltas look like side by side."""

from __future__ import annotations

import math

from torch import Tensor


class Tally:
    """Sums over all weights, weight by weight: how much each branch changed, and whether they agree.

    ``sft_density`` and ``align_density``: the share of entries that changed by more than ``threshold``.
    ``sft_norm``, ``align_norm``: L2 norms of the deltas; ``cosine`` between them (absent if one is 0).
    """

    def __init__(self, threshold: float) -> None:
        self._threshold, self._entries, self._dot = threshold, 0, 0.0
        self._beyond, self._squares = [0, 0], [0.0, 0.0]

    def add(self, sft: Tensor, align: Tensor) -> None:
        """Both deltas of one weight, nothing pruned."""
        self._entries += sft.numel()
        for side, delta in enumerate((sft, align)):
            self._beyond[side] += int((delta.abs() > self._threshold).sum())
            self._squares[side] += float(delta.double().square().sum())
        self._dot += float((sft.double() * align.double()).sum())

    def metrics(self) -> dict[str, float]:
        found = {}
        for name, beyond, square in zip(("sft", "align"), self._beyond, self._squares, strict=True):
            found[f"{name}_density"] = beyond / max(1, self._entries)
            found[f"{name}_norm"] = math.sqrt(square)
        if all(self._squares):
            found["cosine"] = self._dot / math.sqrt(self._squares[0] * self._squares[1])
        return found
