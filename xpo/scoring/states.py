"""The hidden states of response tokens themselves, for heads that read them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from torch import Tensor

from xpo.contracts import Batch
from xpo.scoring.plain import plain_states
from xpo.scoring.score import Scoring, shared_hidden


@dataclass(frozen=True)
class TokenStates:
    """Flat hidden states, and where each response token's stands in them (0 where there is none).

    ``edge_E`` is where the state stands that predicts each edge's token.
    """

    hidden_SD: Tensor
    node_BKT: Tensor
    edge_E: Tensor

    def tokens(self) -> Tensor:
        """BKTD."""
        return self.hidden_SD[self.node_BKT]

    def last(self, batch: Batch) -> Tensor:
        """BKD: of each response's last token, found by the mask and by no pad id; absent ones' are any."""
        last_BK1 = (batch.token_BKT.sum(-1, keepdim=True) - 1).clamp(min=0)
        return self.hidden_SD[self.node_BKT.gather(2, last_BK1).squeeze(2)]


def token_states(scoring: Scoring, model: Any, batch: Batch) -> TokenStates:
    """One forward pass. Raises ``ValueError`` for a batch that was not packed whole."""
    if batch.packed.node_BKT is None:
        raise ValueError("this batch's last tokens are not fed; pack it with whole=True")
    if scoring.path == "shared":
        packed = batch.packed
        return TokenStates(shared_hidden(model, packed), batch.packed.node_BKT, packed.edge_node_E)
    return TokenStates(*plain_states(model, batch))
