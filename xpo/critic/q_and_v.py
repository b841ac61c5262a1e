"""What a response is worth after each of its tokens, learnt on the policy's hidden states."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from xpo.contracts import Batch
from xpo.critic.base import Critic, check_lr_scale
from xpo.critic.decoding import AdvantageDecoding
from xpo.critic.heads import Advantage, Mlp
from xpo.registry import register
from xpo.scoring.parts import output_head
from xpo.scoring.score import Scoring, response_edges, spread
from xpo.scoring.token_statistics import Distributions


@register("critic", "q_and_v")
@dataclass(frozen=True)
class QAndV:
    """V(s), Q_1(s, a), Q_2(s, a) and slow copies of both Q. Snell et al. 2022, arXiv 2206.11871.

    A state is a prompt and the tokens of a response so far, its features the policy's last hidden state,
    and their gradient reaches the policy. Every ``every`` optimizer steps slow <- polyak Q + (1 - polyak)
    slow. Responses are drawn from softmax(log pi + beta (min slow Q - V)), the ``top_k`` likeliest tokens
    (null: all). Defaults are trlx's; unlike there the heads' last layers begin at 0, so that decoding
    begins at the policy. The heads train at ``lr_scale`` times the policy's rate.
    """

    gives: ClassVar[frozenset[str]] = frozenset(
        {"value_BKT", "q1_BKT", "q2_BKT", "q1_logp_BKT", "q2_logp_BKT", "slow_q_BKT"}
    )
    every_state: ClassVar[bool] = True
    fits_returns: ClassVar[bool] = False  # learns what advantages are measured from

    polyak: float = 0.001
    every: int = 5
    beta: float = 1.0
    top_k: int | None = 20
    lr_scale: float = 1.0

    def __post_init__(self) -> None:
        check_lr_scale(self.lr_scale)
        if not 0 < self.polyak <= 1:
            raise ValueError(f"polyak must be above 0 and at most 1, got {self.polyak}")
        if self.every < 1:
            raise ValueError(f"every must be at least 1, got {self.every}")
        if not 0 <= self.beta < float("inf"):
            raise ValueError(f"beta must be at least 0 and finite, got {self.beta}")
        if self.top_k is not None and self.top_k < 1:
            raise ValueError(f"top_k must be null or at least 1, got {self.top_k}")

    def build(self, policy: Any, seed: int) -> TokenValues:
        """The heads, their first layers drawn from ``seed``."""
        weight_VD = output_head(policy).weight_VD
        dtype = torch.promote_types(weight_VD.dtype, torch.float32)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            v, *q = (Mlp(weight_VD.shape[1], out, dtype) for out in (1, len(weight_VD), len(weight_VD)))
        return TokenValues(self, v, q).to(weight_VD.device)


class TokenValues(Critic):
    """Both quick Q heads, and V with the slow ones."""

    def __init__(self, option: QAndV, v: Mlp, quick: Sequence[Mlp]) -> None:
        super().__init__()
        self.lr_scale, self._option = option.lr_scale, option
        self.quick = nn.ModuleList(quick)
        self.advantage = Advantage(v, quick)

    def forward(self, batch: Batch, states: Distributions, scoring: Scoring) -> dict[str, Tensor]:
        """Q and log softmax Q of the responses' own tokens, never all edges x vocabulary at once."""
        span = response_edges(batch.packed)
        hidden_ED, token_E = states.hidden_ED, batch.packed.edge_token_E[span]
        found = {
            "value": self.advantage.v(hidden_ED).squeeze(1),
            "slow_q": self.advantage.slow_at(hidden_ED, token_E),
        }
        for number, head in enumerate(self.quick, 1):
            feature_EH = head.features(hidden_ED)  # pyright: ignore[reportCallIssue]
            found[f"q{number}"] = head.at(feature_EH, token_E)  # pyright: ignore[reportCallIssue]
            found[f"q{number}_logp"] = scoring.logp(Distributions(feature_EH, head.head), batch, span)  # pyright: ignore
        return {f"{name}_BKT": spread(value_E, batch) for name, value_E in found.items()}

    def follow(self, step: int) -> None:
        if step % self._option.every == 0:
            self.advantage.approach(list(self.quick), self._option.polyak)

    @property
    def decoding(self) -> AdvantageDecoding:
        return AdvantageDecoding(self.advantage, self._option.beta, self._option.top_k)
