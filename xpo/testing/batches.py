"""Small random batches with every kind of feedback, ragged on purpose."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from xpo.contracts import Batch, Packed, StepTotals

ROWWISE = (
    "mask_BKT",
    "weight_B",
    "index_B",
    "prefer_BKK",
    "good_BK",
    "bad_BK",
    "demo_BK",
    "score_BK",
    "mass_BK",
    "win_BKK",
    "margin_BKK",
    "cost_BK",
    "rival_BK",
)


@dataclass(frozen=True)
class Toy:
    """A batch and what a model would have said about it."""

    batch: Batch
    logp_BKT: Tensor
    ref_logp_BKT: Tensor
    reward_BK: Tensor
    prompt_logp_BP: Tensor

    def token_BKT(self, name: str) -> Tensor:
        """Numbers that stand for a statistic of next-token distributions, the same for the same tokens."""
        return -0.3 * self.logp_BKT + 0.1 * (sum(map(ord, name)) % 7) * torch.cos(self.ref_logp_BKT)

    def value(self, name: str) -> Tensor:
        """Numbers that stand for what a critic says: of prompts (..._B), responses' tokens (..._BKT)."""
        given = {"B": self.prompt_logp_BP[:, 0], "BKT": self.ref_logp_BKT}[name.rsplit("_", 1)[1]]
        return 0.5 * torch.sin((sum(map(ord, name)) % 11) + 3 * given)

    def rows(self, index: list[int]) -> Toy:
        """These rows only, in this order (denominators stay those of the whole step)."""
        fields = {name: getattr(self.batch, name)[index] for name in ROWWISE}
        packed = dataclasses.replace(self.batch.packed, prompt_edge_BP=_edges(self.batch)[index])
        batch = dataclasses.replace(self.batch, packed=packed, **fields)
        values = (self.logp_BKT, self.ref_logp_BKT, self.reward_BK, self.prompt_logp_BP)
        return Toy(batch, *(value[index] for value in values))

    def to(self, dtype: torch.dtype) -> Toy:
        """Floating point values in another precision; masses and weights too."""

        def cast(item: Any) -> Any:
            return item.to(dtype) if isinstance(item, Tensor) and item.is_floating_point() else item

        batch = dataclasses.replace(self.batch, **{name: cast(getattr(self.batch, name)) for name in ROWWISE})
        values = (self.logp_BKT, self.ref_logp_BKT, self.reward_BK, self.prompt_logp_BP)
        return Toy(batch, *(cast(value) for value in values))

    def replace(self, **changes: Any) -> Toy:
        """Another feedback, mask or weight."""
        return dataclasses.replace(self, batch=dataclasses.replace(self.batch, **changes))


def toy(rows: int = 4, responses: int = 3, tokens: int = 5, ragged: bool = True, seed: int = 0) -> Toy:
    """A float64 batch: soft comparisons, labels, scores, wins and demonstrations for the same responses.

    With ``ragged`` the responses differ in length and every second row lacks its last response (if it
    has at least two others). Row 0 is complete.
    """
    draw = torch.Generator().manual_seed(seed)

    def uniform(*shape: int) -> Tensor:
        return torch.rand(*shape, generator=draw, dtype=torch.float64)

    mask = torch.ones(rows, responses, tokens, dtype=torch.bool)
    if ragged:
        length_BK = torch.randint(1, tokens + 1, (rows, responses), generator=draw)
        if responses > 2:
            length_BK[1::2, -1] = 0
        mask = torch.arange(tokens) < length_BK[:, :, None]
    present = mask.any(-1).double()
    win = torch.sigmoid(_antisymmetric(uniform(rows, responses, responses)))
    pairs = present[:, :, None] * present[:, None, :] * (1 - torch.eye(responses, dtype=torch.float64))
    good = present * uniform(rows, responses) / present.sum(1, keepdim=True)
    logp, ref_logp = (
        -2 * uniform(rows, responses, tokens) - 0.05,
        -2 * uniform(rows, responses, tokens) - 0.05,
    )
    batch = Batch(
        packed=_packed(rows),
        mask_BKT=mask,
        weight_B=0.5 + uniform(rows),
        index_B=torch.arange(rows),
        totals=StepTotals(rows=1.3 * rows, tokens=7.0 * rows, micro_batches=1, prompt_tokens=2.0 * rows),
        prefer_BKK=_normalised(pairs * (0.1 + uniform(rows, responses, responses)), (1, 2)),
        good_BK=good,
        bad_BK=present / present.sum(1, keepdim=True) - good,
        demo_BK=_normalised(present * uniform(rows, responses), 1),
        score_BK=3 * uniform(rows, responses),
        mass_BK=_normalised(present * uniform(rows, responses), 1),
        win_BKK=win,
        margin_BKK=uniform(rows, responses, responses),
        cost_BK=2 * uniform(rows, responses) - 1,
        rival_BK=(torch.arange(responses) % 2).expand(rows, responses) * present,
    )
    return Toy(batch, logp, ref_logp, 3 * uniform(rows, responses) - 3.5, -uniform(rows, 4))


def _packed(rows: int) -> Packed:
    """No tokens, but prompts of 2 and 3 scored tokens in turn."""
    none = torch.zeros(0, dtype=torch.long)
    edges = torch.tensor([[-1, 0, 1, -1], [-1, 2, 3, 4]]).repeat(rows, 1)[:rows]
    empty = torch.zeros(rows, 0, dtype=torch.long)
    return Packed(empty, empty, empty, none, none, none, empty[:, :, None], edges)


def _edges(batch: Batch) -> Tensor:
    assert batch.packed.prompt_edge_BP is not None
    return batch.packed.prompt_edge_BP


def _antisymmetric(values: Tensor) -> Tensor:
    return 3 * (values - values.transpose(1, 2))


def _normalised(values: Tensor, dims: int | tuple[int, ...]) -> Tensor:
    total = values.sum(dims, keepdim=True)
    return torch.where(total > 0, values / total.clamp(min=1e-12), values)
