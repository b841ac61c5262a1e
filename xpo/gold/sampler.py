"""Exact draws in the gold world: from the probabilities of all responses, in one scoring pass."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from xpo.contracts import Batch
from xpo.decode.guided import mixture
from xpo.errors import UserError
from xpo.gold.evaluate import exact_logp, world_batch
from xpo.gold.world import World
from xpo.reference.prepared import Host
from xpo.sampler.base import Draw, Sampled, chances, pick, seeds
from xpo.sampler.drawing import warpers
from xpo.sampler.policy import Policy
from xpo.sampler.stops import Stops
from xpo.scoring.parts import evaluating
from xpo.scoring.score import Scoring, response_edges, spread
from xpo.scoring.token_statistics import Distributions

_NEVER = -1e4
"""Log-probability of a token that is cut off: e^-10000 is 0, and 0 times it too."""


@dataclass(frozen=True)
class GoldSampler:
    """Draws whole responses of the world by their exact probabilities; prompts must be the world's.

    Temperature, top-k, top-p and ``weight`` (the geometric mixture with ``other`` of
    ``xpo.sampler.mixture``) act on every token's distribution, which is not the same as tempering or mixing
    whole responses. A response longer than ``max_new_tokens`` is cut, as its beginning is distributed right.
    Random numbers: one of each response's own. ``UserError`` for a policy that a critic decodes.
    """

    world: World
    other: Host | None = None
    weight: float = 0.0

    def __post_init__(self) -> None:
        if not 0 <= self.weight <= 1:
            raise ValueError(f"weight must be 0 (the policy) to 1 (the other model), got {self.weight}")
        if (self.other is None) != (self.weight == 0):
            raise ValueError("a mixture needs both: another model and a weight above 0")

    def __call__(
        self, policy: Policy, prompts: Sequence[Sequence[int]], draw: Draw, generator: torch.Generator
    ) -> Sampled:
        if policy.decoding is not None:
            raise UserError("exact draws are the policy's own; a critic decodes it with xpo.sampler.generate")
        logp_XN, logp_XNT = self._table(policy, draw)
        where = {prompt: x for x, prompt in enumerate(self.world.prompt_ids)}
        stops = Stops(policy.tokenizer, draw, policy.ends)
        found = Sampled([], [], [])
        for prompt, seed in zip(prompts, seeds(len(prompts), generator), strict=True):
            x = where.get(tuple(prompt))
            if x is None:
                raise ValueError(f"{list(prompt)} is no prompt of this gold world")
            logp_KN = logp_XN[x].expand(draw.responses, -1)
            drawn_K = pick(logp_KN, chances(seed, draw)[:, 0]).tolist()
            cut = [stops.cut(self.world.response_ids[n]) for n in drawn_K]
            found.responses.append([response for response, _ in cut])
            found.finished.append([done for _, done in cut])
            found.logps.append(
                [logp_XNT[x, n, : len(r)].tolist() for n, (r, _) in zip(drawn_K, cut, strict=True)]
            )
        return dataclasses.replace(found)  # checked whole

    def _table(self, policy: Policy, draw: Draw) -> tuple[Tensor, Tensor]:
        """log p of all responses, XN, and of their tokens."""
        whole = dataclasses.replace(
            policy.scoring, temperature=1.0
        )  # the draw's own acts on what comes of it
        scoring = _DrawnScoring(whole, draw, sorted(policy.ends), self.other, self.weight)
        batch = world_batch(self.world).to(policy.model.device)
        with evaluating(policy.model):
            logp_XN = exact_logp(policy.model, scoring, batch)
        return logp_XN, scoring.last[0].cpu()


@dataclass(frozen=True, eq=False)
class _DrawnScoring:
    """``logp_BKT`` of responses under the distribution that tokens are drawn from, without gradient.

    ``last`` holds the newest one: a policy that float32 cannot hold is scored once more.
    """

    own: Scoring
    draw: Draw
    ends: list[int]
    other: Host | None
    weight: float
    last: list[Tensor] = dataclasses.field(default_factory=list)

    @torch.no_grad()
    def __call__(self, model: Any, batch: Batch) -> Tensor:
        found = self._distributions(model, batch)
        depth_E = batch.packed.edge_depth_E[response_edges(batch.packed)]
        parts, begin = [found[0].hidden_ED.new_zeros(0, dtype=torch.float32)], 0
        span = response_edges(batch.packed)
        pieces = [self.own.pieces(each, batch, span) for each in found]
        for one in zip(*pieces, strict=True):
            token_C = one[0][1].token_E
            logits = [part.logp(slice(None), targets) for part, targets in one]
            logp_CV = self._drawn(logits, depth_E[begin : begin + len(token_C)])
            parts.append(logp_CV.gather(1, token_C[:, None]).squeeze(1).clamp(min=_NEVER))
            begin += len(token_C)
        self.last[:] = [spread(torch.cat(parts), batch)]
        return self.last[0]

    def _distributions(self, model: Any, batch: Batch) -> list[Distributions]:
        span = response_edges(batch.packed)
        found = [self.own.distributions(model, batch, span)]
        if self.other is not None:
            with self.other() as other:
                found.append(self.own.distributions(other, batch, span))
        return found

    def _drawn(self, logps: list[Tensor], depth_C: Tensor) -> Tensor:
        logits_CV = logps[0]
        ends_CV = torch.zeros_like(logits_CV, dtype=torch.bool)
        ends_CV[:, self.ends] = (depth_C < self.draw.min_new_tokens)[:, None]
        logits_CV = logits_CV.masked_fill(ends_CV, -torch.inf)
        if len(logps) > 1:
            logits_CV = mixture(logits_CV, logps[1].to(logits_CV), 1 - self.weight)
        for warp in warpers(self.draw):
            logits_CV = warp(torch.empty(0), logits_CV)
        return logits_CV.log_softmax(1)
