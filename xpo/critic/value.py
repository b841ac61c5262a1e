"""How good a prompt's responses are on average, learnt."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import torch
from torch import Tensor, nn

from xpo.contracts import Batch
from xpo.critic.base import Critic, check_lr_scale
from xpo.registry import register
from xpo.scoring.parts import accepts, decoder, output_head
from xpo.scoring.score import Scoring
from xpo.scoring.token_statistics import Distributions


@register("critic", "value")
@dataclass(frozen=True)
class Value:
    """V(x): one number per prompt, from the hidden state of its last token. Begins at 0.

    ``trunk=separate`` is a network of its own that begins as a copy of the policy at the start of
    alignment (Richemond et al. 2024, arXiv 2405.19107, who find that sharing hurts; beside an adapter only
    the adapter is copied); ``shared`` puts the head on the policy. The paper's several outputs per prompt
    are not taken over. It trains at ``lr_scale`` times the policy's rate.
    """

    gives: ClassVar[frozenset[str]] = frozenset({"prompt_value_B"})
    every_state: ClassVar[bool] = False
    fits_returns: ClassVar[bool] = False  # learns what advantages are measured from

    trunk: Literal["separate", "shared"] = "separate"
    lr_scale: float = 1.0

    def __post_init__(self) -> None:
        check_lr_scale(self.lr_scale)

    def build(self, policy: Any, seed: int) -> PromptValue:
        """The network, made from the policy as it stands."""
        trunk = _copy(policy) if self.trunk == "separate" else None
        weight_VD = output_head(policy).weight_VD
        dtype = torch.promote_types(weight_VD.dtype, torch.float32)
        head: Any = nn.utils.skip_init(nn.Linear, weight_VD.shape[1], 1, device=weight_VD.device, dtype=dtype)
        nn.init.zeros_(head.weight)
        nn.init.zeros_(head.bias)
        return PromptValue(trunk, head, self.lr_scale)


class PromptValue(Critic):
    """A linear head on the last prompt token's hidden state: of ``trunk``, or of the policy if it is None."""

    def __init__(self, trunk: nn.Module | None, head: nn.Linear, lr_scale: float) -> None:
        super().__init__()
        self.trunk, self.head, self.lr_scale = trunk, head, lr_scale

    def forward(self, batch: Batch, states: Distributions, scoring: Scoring) -> dict[str, Tensor]:
        if self.trunk is not None:
            return {"prompt_value_B": self._value(_last_of_prompt(self.trunk, batch))}
        # the state that predicts a response's first token is that of the prompt's last one
        first_B = batch.packed.edge_BKT[:, 0, 0]
        return {"prompt_value_B": self._value(states.hidden_ED[first_B])}

    def _value(self, hidden_BD: Tensor) -> Tensor:
        dtype = self.head.weight.dtype
        return self.head(hidden_BD.to(dtype)).squeeze(1).to(dtype)


def _copy(policy: Any) -> nn.Module:
    """The policy's decoder; parameters that do not train there are shared, as beneath an adapter."""
    shared: dict[int, Any] = {id(p): p for p in policy.parameters() if not p.requires_grad}
    return copy.deepcopy(decoder(policy), shared)


def _last_of_prompt(trunk: nn.Module, batch: Batch) -> Tensor:
    """The hidden state of each prompt's last token: no response is run, none could change it."""
    assert batch.prompt_BP is not None and batch.prompt_mask_BP is not None
    extra: dict[str, Any] = {"use_cache": False} if accepts(trunk, "use_cache") else {}
    output = trunk(input_ids=batch.prompt_BP, attention_mask=batch.prompt_mask_BP.long(), **extra)
    last_B = batch.prompt_mask_BP.sum(1) - 1
    rows_B = torch.arange(len(last_B), device=last_B.device)
    return output.last_hidden_state[rows_B, last_B]
