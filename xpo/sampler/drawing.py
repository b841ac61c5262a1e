"""The last steps of a chain of logits processors: what is cut off, and the draw itself."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from xpo.critic.base import Processor
from xpo.sampler.base import Draw, pick


def warpers(draw: Draw) -> list[Processor]:
    """Temperature, top-k and top-p, in this order, as transformers has them."""
    from transformers import TemperatureLogitsWarper, TopKLogitsWarper, TopPLogitsWarper

    found: list[Any] = []
    if draw.temperature != 1:
        found.append(TemperatureLogitsWarper(float(draw.temperature)))
    if draw.top_k is not None:
        found.append(TopKLogitsWarper(draw.top_k))
    if draw.top_p < 1:
        found.append(TopPLogitsWarper(draw.top_p))
    return found


class Drawing:
    """Draws each row's token by the row's own random number, and notes its log-probability.

    The token's logit stays finite alone, so that greedy decoding takes it: ``generate`` would draw with the
    global random state, whose numbers depend on who else is in the batch.
    """

    def __init__(self, chance_RT: Tensor, prompt_length: int) -> None:
        self._chance_RT, self._begin = chance_RT, prompt_length
        self._logps: list[Tensor] = []

    def __call__(self, ids_RS: Tensor, logits_RV: Tensor) -> Tensor:
        at = min(ids_RS.shape[1] - self._begin, self._chance_RT.shape[1] - 1)
        logp_RV = logits_RV.float().log_softmax(-1)
        token_R1 = pick(logp_RV, self._chance_RT[:, at])[:, None]
        self._logps.append(logp_RV.gather(1, token_R1).squeeze(1))
        return torch.full_like(logits_RV, -torch.inf).scatter_(1, token_R1, 0.0)

    def logps(self, rows: list[list[int]]) -> list[list[float]]:
        """Of the rows' tokens; what was drawn behind a row's end is left out.

        Raises ``ValueError`` where no token had any mass.
        """
        logp_RT = torch.stack(self._logps, 1).cpu()
        found = [logp_T[: len(tokens)].tolist() for logp_T, tokens in zip(logp_RT, rows, strict=True)]
        if any(logp != logp for row in found for logp in row):
            raise ValueError("no token may stand at some place of a response: all logits are minus infinity")
        return found
