"""Next-token log-probabilities of a model that reads on, its cache kept."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from xpo.scoring.parts import accepts, evaluating, unwrap
from xpo.scoring.support import Support


class NextToken:
    """log p of the next token after rows of tokens, one more token a call.

    Rows that do not go on from those of the call before (another beam's, another batch's) are read anew.
    ``pad_id`` at the left of a row is not read.
    """

    def __init__(self, model: Any, pad_id: int | None = None) -> None:
        self._model, self._pad = model, pad_id
        self._seen_BS: Tensor | None = None
        self._cache: Any = None

    @torch.no_grad()
    def __call__(self, ids_BS: Tensor) -> Tensor:
        """log p, BV, in float32."""
        mask_BS = self._mask(ids_BS)
        goes_on = self._seen_BS is not None and torch.equal(self._seen_BS, ids_BS[:, :-1])
        fed_BS = ids_BS[:, -1:] if goes_on else ids_BS
        more = {"past_key_values": self._cache} if goes_on else {}
        if accepts(unwrap(self._model), "position_ids"):
            more["position_ids"] = (mask_BS.cumsum(1) - 1).clamp(min=0)[:, -fed_BS.shape[1] :]
        with evaluating(self._model):
            output = self._model(input_ids=fed_BS, attention_mask=mask_BS, use_cache=True, **more)
        self._seen_BS, self._cache = ids_BS, output.past_key_values
        return output.logits[:, -1].float().log_softmax(-1)

    def keep(self, row_B: Tensor) -> None:
        """Go on with these rows of the last call, in this order."""
        if self._seen_BS is not None:
            self._seen_BS = self._seen_BS[row_B]
            self._cache.reorder_cache(row_B)

    def _mask(self, ids_BS: Tensor) -> Tensor:
        if self._pad is None:
            return torch.ones_like(ids_BS)
        return ((ids_BS != self._pad).cumsum(1) > 0).long()


def allowed(logp_BV: Tensor, support: Support | None, index: int) -> Tensor:
    """Renormalised over the tokens that may stand at this index of a response."""
    if support is None:
        return logp_BV
    allowed_TV = support.allowed_TV.to(logp_BV.device)
    row_V = allowed_TV[min(index, len(allowed_TV) - 1)]
    return logp_BV.masked_fill(~row_V, -torch.inf).log_softmax(-1)
