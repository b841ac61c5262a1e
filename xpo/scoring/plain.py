"""The plain path: one ordinary right-padded row per response, for models that cannot share prefixes."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from xpo.contracts import Batch, Packed
from xpo.scoring.parts import accepts, decoder


def plain_hidden(model: Any, batch: Batch, span: slice) -> Tensor:
    """The hidden state that predicts each edge of the span, from rows of prompt + response.

    Rows are read back from the packed ones, so both paths score the same tokens. An edge that several
    responses share is taken from the first of them.
    """
    hidden_SD, where_E = _hidden(model, batch)
    return hidden_SD[where_E[span]]


def plain_states(model: Any, batch: Batch) -> tuple[Tensor, Tensor, Tensor]:
    """Flat hidden states, where each response token's own stands in them (0 where there is none), and where
    that which predicts each edge."""
    hidden_SD, where_E = _hidden(model, batch)
    # a token follows the position that predicts it, in the row of the first response that has it
    return hidden_SD, (where_E[batch.packed.edge_BKT] + 1).masked_fill(~batch.token_BKT, 0), where_E


def _hidden(model: Any, batch: Batch) -> tuple[Tensor, Tensor]:
    input_ids_RS, length_R, where_E = unpacked(batch.packed, batch.token_BKT)
    inner = decoder(model)
    at_S = torch.arange(input_ids_RS.shape[1], device=input_ids_RS.device)
    extra: dict[str, Any] = {"use_cache": False} if accepts(inner, "use_cache") else {}
    output = inner(input_ids=input_ids_RS, attention_mask=(at_S < length_R[:, None]).long(), **extra)
    return output.last_hidden_state.flatten(0, 1), where_E


def unpacked(packed: Packed, mask_BKT: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Ordinary rows: ids (0 as padding), lengths, and the flat position that predicts each edge."""
    rows: list[Tensor] = []
    where_E = torch.zeros_like(packed.edge_token_E)
    todo = torch.ones_like(where_E, dtype=torch.bool)
    width = max(int(mask_BKT.sum(-1).max()) + int(packed.position_BS.max()) + 1, 1)
    for b, k in mask_BKT.any(-1).nonzero().tolist():
        edges_T = packed.edge_BKT[b, k][mask_BKT[b, k]]
        size = _prompt_length(packed, int(edges_T[0]))
        first = len(rows) * width + size - 1
        at_T = first + torch.arange(len(edges_T), device=where_E.device)
        new_T = todo[edges_T]
        where_E[edges_T[new_T]] = at_T[new_T]
        todo[edges_T] = False
        if k == 0 and packed.prompt_edge_BP is not None:
            edges_P = packed.prompt_edge_BP[b, 1:size]
            where_E[edges_P] = len(rows) * width + torch.arange(size - 1, device=where_E.device)
        rows.append(torch.cat([packed.input_ids_BS[b, :size], packed.edge_token_E[edges_T]]))
    length_R = torch.tensor([len(row) for row in rows], device=where_E.device)
    ids_RS = torch.zeros(len(rows), width, dtype=torch.long, device=where_E.device)
    for row, ids_S in zip(rows, ids_RS, strict=True):
        ids_S[: len(row)] = row
    return ids_RS[:, : int(length_R.max())], length_R, _narrow(where_E, width, int(length_R.max()))


def _narrow(where_E: Tensor, width: int, narrow: int) -> Tensor:
    """Flat positions after the rows were cut from width to narrow."""
    return where_E // width * narrow + where_E % width


def _prompt_length(packed: Packed, edge: int) -> int:
    """The first edge of a response stands at its prompt's last token."""
    return int(packed.position_BS.flatten()[packed.edge_node_E[edge]]) + 1
