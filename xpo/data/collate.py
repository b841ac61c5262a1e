"""Rows to one padded micro-batch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from xpo.contracts import Batch, Row, StepTotals
from xpo.data.plan import cost
from xpo.scoring.joined import join, joined_cost
from xpo.scoring.pack import pack
from xpo.scoring.support import Support


class RefLogps(Protocol):
    """Cached reference log-probs: for a row's index, K sequences of that response's length."""

    def __getitem__(self, index: int, /) -> Sequence[Sequence[float] | Tensor]: ...


@dataclass(frozen=True, eq=False)
class Collator:
    """What stays the same from micro-batch to micro-batch.

    ``prompt_edges``: prompt tokens are scored too. ``support``: the tokens that a response may have.
    ``whole``: every token is fed, for heads that read what stands behind the last one. ``separator``: rows of
    two responses are packed too, with this token between them.
    """

    pad_id: int
    prompt_edges: bool = False
    ref: RefLogps | None = None
    support: Support | None = None
    whole: bool = False
    separator: int | None = None

    def cost(self, row: Row) -> int:
        """Positions that a row takes in a forward pass."""
        return cost(row) if self.separator is None else joined_cost((row.prompt, row.responses))

    def __call__(self, rows: Sequence[Row], index: Sequence[int], totals: StepTotals) -> Batch:
        """Pad rows to one K and T.

        ``index`` is each row's place in the data set. A row at -1 is a filler: its weight becomes 0 and
        nothing cached is read for it. A feedback field is None unless every row carries it.
        """
        spelt = [(row.prompt, row.responses) for row in rows]
        packed, token_BKT = pack(
            spelt,
            pad_id=self.pad_id,
            prompt_edges=self.prompt_edges,
            support=self.support,
            whole=self.whole,
        )
        skip_B = torch.tensor([row.skip for row in rows])
        mask_BKT = token_BKT & (torch.arange(token_BKT.shape[2]) >= skip_B[:, None, None])
        size = mask_BKT.shape[1]
        prompt_BP, prompt_mask_BP = _prompts(rows, self.pad_id)
        return Batch(
            packed=packed,
            mask_BKT=mask_BKT,
            weight_B=torch.tensor(
                [0.0 if i < 0 else row.weight for row, i in zip(rows, index, strict=True)],
                dtype=torch.float32,
            ),
            index_B=torch.tensor(index, dtype=torch.long),
            totals=totals,
            prefer_BKK=_matrices([row.prefer for row in rows], size),
            good_BK=_vectors([row.good for row in rows], size),
            bad_BK=_vectors([row.bad for row in rows], size),
            demo_BK=_vectors([row.demo for row in rows], size),
            score_BK=_vectors([row.scores for row in rows], size),
            mass_BK=_vectors([row.mass for row in rows], size),
            win_BKK=_matrices([row.wins for row in rows], size),
            margin_BKK=_matrices([row.margins for row in rows], size),
            cost_BK=_vectors([row.costs for row in rows], size),
            rival_BK=_vectors([row.rivals for row in rows], size),
            ref_logp_BKT=None if self.ref is None else _cached(self.ref, index, token_BKT),
            prompt_BP=prompt_BP,
            prompt_mask_BP=prompt_mask_BP,
            response_BKT=_responses(rows, token_BKT, self.pad_id),
            joined=None if self.separator is None else join(spelt, self.separator, self.pad_id),
        )


def _prompts(rows: Sequence[Row], pad_id: int) -> tuple[Tensor, Tensor]:
    lengths = [len(row.prompt) for row in rows]
    width = max(lengths)
    prompt_BP = torch.tensor([[*row.prompt, *[pad_id] * (width - len(row.prompt))] for row in rows])
    return prompt_BP, torch.arange(width) < torch.tensor(lengths).unsqueeze(1)


def _responses(rows: Sequence[Row], token_BKT: Tensor, pad_id: int) -> Tensor:
    response_BKT = torch.full(token_BKT.shape, pad_id, dtype=torch.long)
    # row-major, as the mask counts: token t of response k of row b in this order
    flat = [token for row in rows for response in row.responses for token in response]
    response_BKT[token_BKT] = torch.tensor(flat, dtype=torch.long)
    return response_BKT


def _vectors(values: Sequence[Sequence[float] | None], size: int) -> Tensor | None:
    given = [value for value in values if value is not None]
    if len(given) < len(values):
        return None
    return torch.tensor([[*value, *[0.0] * (size - len(value))] for value in given], dtype=torch.float32)


def _matrices(values: Sequence[Sequence[Sequence[float]] | None], size: int) -> Tensor | None:
    given = [value for value in values if value is not None]
    if len(given) < len(values):
        return None
    filled_BKK = torch.zeros(len(values), size, size)
    for b, matrix in enumerate(given):
        filled_BKK[b, : len(matrix), : len(matrix)] = torch.tensor(matrix, dtype=torch.float32)
    return filled_BKK


def _cached(ref: RefLogps, index: Sequence[int], token_BKT: Tensor) -> Tensor:
    ref_logp_BKT = torch.zeros(token_BKT.shape)
    for b, i in enumerate(index):
        for k, logps in enumerate(ref[i] if i >= 0 else ()):
            if len(logps) != int(token_BKT[b, k].sum()):
                raise ValueError(
                    f"row {i}, response {k}: {len(logps)} cached reference log-probs for "
                    f"{int(token_BKT[b, k].sum())} tokens; the cache belongs to other rows"
                )
            ref_logp_BKT[b, k, : len(logps)] = torch.as_tensor(logps)
    return ref_logp_BKT
