"""Log-probabilities of a batch's responses under a model: the one scoring pass of every method."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

import torch
from torch import Tensor

from xpo.contracts import Batch, Packed, masked
from xpo.scoring.head import Targets, edge_logp
from xpo.scoring.parts import decoder, output_head
from xpo.scoring.plain import plain_hidden
from xpo.scoring.support import Support


@dataclass(frozen=True)
class Scoring:
    """``scoring(model, batch)`` is ``logp_BKT`` in float32 nats, zeros outside the mask.

    ``path``: ``shared`` runs the packed rows (every distinct prefix once), ``plain`` one ordinary row per
    response. ``chunk``: how many logits exist at a time, in values (at least one edge's, all edges' if they
    are fewer; those are then kept for the backward pass rather than computed again).
    """

    path: Literal["shared", "plain"] = "shared"
    chunk: int = 2**25
    support: Support | None = field(default=None, compare=False)

    def __post_init__(self) -> None:
        if self.chunk < 1:
            raise ValueError(f"chunk must be at least 1, got {self.chunk}")

    def __call__(self, model: Any, batch: Batch) -> Tensor:
        packed = batch.packed
        count = len(packed.edge_token_E)
        if packed.prompt_edge_BP is not None:
            count -= int((packed.prompt_edge_BP >= 0).sum())
        logp_E = self._edges(model, batch, slice(count))
        return _spread(logp_E, packed.edge_BKT, batch.mask_BKT)

    def with_prompt(self, model: Any, batch: Batch) -> tuple[Tensor, Tensor]:
        """``logp_BKT`` and ``prompt_logp_BP`` (0 at the first token and at padding) from one forward pass.

        Raises ``ValueError`` if the batch was packed without prompt edges.
        """
        packed = batch.packed
        if packed.prompt_edge_BP is None:
            raise ValueError("this batch has no prompt edges; pack it with prompt_edges=True")
        logp_E = self._edges(model, batch, slice(None))
        prompt_logp_BP = _spread(logp_E, packed.prompt_edge_BP.clamp(min=0), packed.prompt_edge_BP >= 0)
        return _spread(logp_E, packed.edge_BKT, batch.mask_BKT), prompt_logp_BP

    def _edges(self, model: Any, batch: Batch, span: slice) -> Tensor:
        packed = batch.packed
        token_E, depth_E = packed.edge_token_E[span], packed.edge_depth_E[span]
        if self.path == "shared":
            hidden_ED = shared_hidden(model, packed)[packed.edge_node_E[span]]
        else:
            hidden_ED = plain_hidden(model, batch, span)
        head = output_head(model)
        edges = max(1, self.chunk // len(head.weight_VD))
        return edge_logp(hidden_ED, head, self._targets(token_E, depth_E), edges)

    def _targets(self, token_E: Tensor, depth_E: Tensor) -> Targets:
        if self.support is None:
            return Targets(token_E)
        self.support.check(token_E, depth_E)
        return Targets(token_E, self.support.table(token_E.device), self.support.rows(depth_E))


def shared_hidden(model: Any, packed: Packed) -> Tensor:
    """Last hidden states of the packed rows, flat over B*S."""
    inner = decoder(model)
    mask = attention_mask(packed.end_BS, _compute_dtype(inner, packed.end_BS.device.type))
    output = inner(
        input_ids=packed.input_ids_BS, attention_mask=mask, position_ids=packed.position_BS, use_cache=False
    )
    return output.last_hidden_state.flatten(0, 1)


def attention_mask(end_BS: Tensor, dtype: torch.dtype) -> Tensor:
    """Additive [B, 1, S, S] mask: 0 where key i is seen by query j (i <= j < end[i]), else minus infinity.

    Additive and floating, because eager attention adds whatever it gets: a bool mask would be silently wrong.
    Every position sees itself, so no softmax is empty.
    """
    at_S = torch.arange(end_BS.shape[1], device=end_BS.device)
    hidden_BSS = (at_S[:, None] >= end_BS[:, None, :]) | (at_S[None, :] > at_S[:, None])
    mask = torch.zeros(hidden_BSS.shape, dtype=dtype, device=end_BS.device)
    return mask.masked_fill_(hidden_BSS, float("-inf"))[:, None]


def _compute_dtype(inner: Any, device: str) -> torch.dtype:
    return torch.get_autocast_dtype(device) if torch.is_autocast_enabled(device) else inner.dtype


def _spread(logp_E: Tensor, edges: Tensor, mask: Tensor) -> Tensor:
    """Edge values at every token that uses the edge."""
    if not len(logp_E):
        return torch.zeros(mask.shape, dtype=logp_E.dtype, device=mask.device)
    return masked(logp_E[edges], mask)
