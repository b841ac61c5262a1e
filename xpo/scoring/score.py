"""Log-probabilities of a batch's responses under a model: the one scoring pass of every method."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Literal

import torch
from torch import Tensor

from xpo.contracts import Batch, Packed, masked
from xpo.scoring.head import Targets, edge_logp
from xpo.scoring.parts import decoder, output_head
from xpo.scoring.plain import plain_hidden
from xpo.scoring.support import Support
from xpo.scoring.token_statistics import Distributions, TokenStatistic, cut, token_statistics


@dataclass(frozen=True)
class Scoring:
    """``scoring(model, batch)`` is ``logp_BKT`` in float32 nats, zeros outside the mask.

    ``path``: ``shared`` runs the packed rows (every distinct prefix once), ``plain`` one ordinary row per
    response. ``chunk``: how many logits exist at a time, in values (at least one edge's, all edges' if they
    are fewer; those are then kept for the backward pass rather than computed again). ``temperature`` divides
    the logits of every distribution that this pass gives, token statistics included: log-probs under what
    was sampled from. (What top-k and top-p cut off is not cut off here.)
    """

    path: Literal["shared", "plain"] = "shared"
    chunk: int = 2**25
    support: Support | None = field(default=None, compare=False)
    temperature: float = 1.0

    def __post_init__(self) -> None:
        if self.chunk < 1:
            raise ValueError(f"chunk must be at least 1, got {self.chunk}")
        if not 0 < self.temperature < float("inf"):
            raise ValueError(f"temperature must be above 0 and finite, got {self.temperature}")

    def __call__(self, model: Any, batch: Batch) -> Tensor:
        span = response_edges(batch.packed)
        return spread(self.logp(self.distributions(model, batch, span), batch, span), batch)

    def with_prompt(self, model: Any, batch: Batch) -> tuple[Tensor, Tensor]:
        """``logp_BKT`` and ``prompt_logp_BP`` (0 at the first token and at padding) from one forward pass.

        Raises ``ValueError`` if the batch was packed without prompt edges.
        """
        logp_BKT, prompt_logp_BP, _ = self.everything(model, batch, prompt=True)
        assert prompt_logp_BP is not None
        return logp_BKT, prompt_logp_BP

    def everything(
        self, model: Any, batch: Batch, prompt: bool
    ) -> tuple[Tensor, Tensor | None, Distributions]:
        """``logp_BKT``, ``prompt_logp_BP`` if wanted, and the distributions of ``response_edges``."""
        if prompt and batch.packed.prompt_edge_BP is None:
            raise ValueError("this batch has no prompt edges; pack it with prompt_edges=True")
        responses = response_edges(batch.packed)
        found = self.distributions(model, batch, slice(None) if prompt else responses)
        logp_BKT, prompt_logp_BP = self.logps(found, batch, prompt)
        return logp_BKT, prompt_logp_BP, Distributions(found.hidden_ED[responses], found.head)

    def logps(self, found: Distributions, batch: Batch, prompt: bool) -> tuple[Tensor, Tensor | None]:
        """``logp_BKT`` and, if wanted, ``prompt_logp_BP``, of the distributions of as many edges."""
        logp_E = self.logp(found, batch, slice(None) if prompt else response_edges(batch.packed))
        prompt_logp_BP, edge_BP = None, batch.packed.prompt_edge_BP
        if prompt and edge_BP is not None:
            prompt_logp_BP = _spread(logp_E, edge_BP.clamp(min=0), edge_BP >= 0)
        return spread(logp_E, batch), prompt_logp_BP

    def distributions(self, model: Any, batch: Batch, span: slice) -> Distributions:
        """The hidden states that predict the edges of the span, and the head over them."""
        packed = batch.packed
        if self.path == "shared":
            hidden_ED = shared_hidden(model, packed)[packed.edge_node_E[span]]
        else:
            hidden_ED = plain_hidden(model, batch, span)
        return Distributions(hidden_ED, output_head(model).at(self.temperature))

    def logp(self, found: Distributions, batch: Batch, span: slice) -> Tensor:
        """log p of the edges' own tokens, E."""
        return edge_logp(found.hidden_ED, found.head, self._targets(batch.packed, span), self._edges(found))

    def pieces(
        self, found: Distributions, batch: Batch, span: slice
    ) -> Iterator[tuple[Distributions, Targets]]:
        """The distributions in pieces of ``chunk`` logits, each with what it predicts."""
        targets = self._targets(batch.packed, span)
        size, count = self._edges(found), len(found.hidden_ED)
        for piece in (slice(start, start + size) for start in range(0, count, size)):
            yield Distributions(found.hidden_ED[piece], found.head), cut(targets, piece)

    def statistics(
        self,
        wanted: tuple[TokenStatistic, ...],
        policy: Distributions,
        reference: Distributions | None,
        batch: Batch,
    ) -> dict[str, Tensor]:
        """Statistics of the next-token distributions at response tokens, each BKT by its name.

        Both ``Distributions`` are those of ``response_edges``; never more than ``chunk`` logits exist.
        """
        if not wanted:
            return {}
        targets = self._targets(batch.packed, response_edges(batch.packed))
        found = token_statistics(wanted, policy, reference, targets, self._edges(policy))
        return {name: spread(value_E, batch) for name, value_E in found.items()}

    def _edges(self, found: Distributions) -> int:
        return max(1, self.chunk // len(found.head.weight_VD))

    def _targets(self, packed: Packed, span: slice) -> Targets:
        token_E, depth_E = packed.edge_token_E[span], packed.edge_depth_E[span]
        if self.support is None:
            return Targets(token_E)
        self.support.check(token_E, depth_E)
        return Targets(token_E, self.support.table(token_E.device), self.support.rows(depth_E))


def response_edges(packed: Packed) -> slice:
    """The edges of response tokens; those of prompts come after them."""
    count = len(packed.edge_token_E)
    if packed.prompt_edge_BP is not None:
        count -= int((packed.prompt_edge_BP >= 0).sum())
    return slice(count)


def spread(value_E: Tensor, batch: Batch) -> Tensor:
    """Edge values at every response token that uses the edge, BKT; zeros outside the mask."""
    return _spread(value_E, batch.packed.edge_BKT, batch.mask_BKT)


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
