"""What a response is worth before each of its tokens, for advantages of a policy gradient."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import torch
from torch import Tensor, nn

from xpo.contracts import Batch, masked
from xpo.critic.base import Critic, check_lr_scale
from xpo.registry import register
from xpo.scoring.parts import output_head, unwrap
from xpo.scoring.score import Scoring, response_edges, spread
from xpo.scoring.token_statistics import Distributions


@register("critic", "tokens")
@dataclass(frozen=True)
class Tokens:
    """V(x, y_<t), regressed on returns: 1/2 max((V - G)^2, (V_clipped - G)^2). arXiv 1707.06347; 1506.02438.

    V is clipped to within ``clip`` of what it was when the rollout was sampled (null: not at all), which is
    of OpenAI's code, not of the paper. ``trunk=separate`` is a network of its own that begins as a copy of
    the policy, ``shared`` puts the head on the policy, whose states it then shapes. It begins at 0, counts
    ``weight`` times in the loss, as a mean over tokens, and trains at ``lr_scale`` times the policy's rate.
    ``costs``: a second one, alike, learns what a response will cost.
    """

    every_state: ClassVar[bool] = False
    fits_returns: ClassVar[bool] = True  # learns what advantages are measured from

    trunk: Literal["separate", "shared"] = "separate"
    weight: float = 0.1
    clip: float | None = 0.2
    lr_scale: float = 1.0
    costs: bool = False

    @property
    def gives(self) -> frozenset[str]:
        """Names in Context.value."""
        return frozenset({"value_BKT", "cost_value_BKT"} if self.costs else {"value_BKT"})

    def __post_init__(self) -> None:
        check_lr_scale(self.lr_scale)
        if not 0 < self.weight < float("inf"):
            raise ValueError(f"weight must be above 0 and finite, got {self.weight}")
        if self.clip is not None and not 0 < self.clip < float("inf"):
            raise ValueError(f"clip must be null or above 0 and finite, got {self.clip}")

    def build(self, policy: Any, seed: int) -> TokenValues:
        """The networks, made from the policy as it stands."""
        parts = {"value_BKT": self._made(policy)}
        if self.costs:
            parts["cost_value_BKT"] = self._made(policy)
        return TokenValues(parts, self.lr_scale)

    def _made(self, policy: Any) -> TokenValue:
        weight_VD = output_head(policy).weight_VD
        dtype = torch.promote_types(weight_VD.dtype, torch.float32)
        head: Any = nn.utils.skip_init(nn.Linear, weight_VD.shape[1], 1, device=weight_VD.device, dtype=dtype)
        nn.init.zeros_(head.weight)
        nn.init.zeros_(head.bias)
        return TokenValue(_copy(policy) if self.trunk == "separate" else None, head)

    def loss(self, value_BKT: Tensor, old_BKT: Tensor, return_BKT: Tensor) -> Tensor:
        """Of each token."""
        loss_BKT = (value_BKT - return_BKT).square()
        if self.clip is not None:
            near_BKT = old_BKT + (value_BKT - old_BKT).clamp(-self.clip, self.clip)
            loss_BKT = torch.maximum(loss_BKT, (near_BKT - return_BKT).square())
        return loss_BKT / 2

    def text(self, of: str = "") -> str:
        """The loss of a token as an expression; ``of`` is "cost_" for the critic of costs."""
        value, old, returns = f"{of}value", f"old_{of}value", f"{of}returns"
        if self.clip is None:
            return f"({value} - {returns})**2 / 2"
        near = f"{old} + minimum(maximum({value} - {old}, -{self.clip!r}), {self.clip!r})"
        return f"maximum(({value} - {returns})**2, ({near} - {returns})**2) / 2"


class TokenValues(Critic):
    """One value, or two, of every response token."""

    def __init__(self, parts: dict[str, TokenValue], lr_scale: float) -> None:
        super().__init__()
        self.parts, self.lr_scale = nn.ModuleDict(parts), lr_scale

    def forward(self, batch: Batch, states: Distributions, scoring: Scoring) -> dict[str, Tensor]:
        return {name: part(batch, states, scoring) for name, part in self.parts.items()}


class TokenValue(nn.Module):
    """A linear head on the state that predicts each response token: of ``trunk``, or of the policy."""

    def __init__(self, trunk: nn.Module | None, head: nn.Linear) -> None:
        super().__init__()
        self.trunk, self.head = trunk, head

    def forward(self, batch: Batch, states: Distributions, scoring: Scoring) -> Tensor:
        if self.trunk is not None:
            states = scoring.distributions(self.trunk, batch, response_edges(batch.packed))
        dtype = self.head.weight.dtype
        value_E = self.head(states.hidden_ED.to(dtype)).squeeze(1).to(dtype)
        return masked(spread(value_E, batch), batch.mask_BKT)


def _copy(policy: Any) -> nn.Module:
    """The policy; parameters that do not train there are shared, and what predicts tokens does not train."""
    shared: dict[int, Any] = {id(p): p for p in policy.parameters() if not p.requires_grad}
    made = copy.deepcopy(policy, shared)
    inner = unwrap(made)
    head = inner.get_output_embeddings().weight
    if head is not inner.get_input_embeddings().weight:
        head.requires_grad_(False)
    return made
