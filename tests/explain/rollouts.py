"""A rollout of random numbers: as tensors for the real collator and module, and for the interpreter."""

from __future__ import annotations

import dataclasses
import functools
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from tests.explain.interpreter import value_of
from xpo.arrows import arrow_of
from xpo.compose import build, compose_config
from xpo.contracts import Batch, Row
from xpo.data.collate import Collator
from xpo.data.loader import totals_of
from xpo.module.on_policy import OnPolicyModule, Said
from xpo.on_policy.experience import Experience
from xpo.scored import Scores

N, T = 3, 5
TOKENS = (
    "logp",
    "old_logp",
    "ref_logp",
    "sampler_logp",
    "value",
    "cost_value",
    "old_value",
    "old_cost_value",
)
MORE = ("advantage", "returns", "cost_returns", "entropy")


@functools.cache
def composed(*overrides: str) -> Any:
    """Each combination once: composing takes longer than everything else here."""
    return build(compose_config([*overrides]))


class Rollout:
    """N prompts with K samples each, of 1 to T tokens, and a module that is told what its models say."""

    def __init__(self, overrides: list[str], responses: int, seed: int = 0) -> None:
        self.parts = composed(*overrides)
        self.arrow: Any = arrow_of(self.parts)
        self.random = np.random.default_rng(seed)
        self.length = self.random.integers(1, T + 1, (N, responses))
        self.length[0, 0], self.length[1, 0] = T, 1  # unequal
        self.mask = np.arange(T) < self.length[..., None]
        self.table = {name: self._tokens(-0.6, 0.05) for name in TOKENS[:4]}
        self.table |= {name: self._tokens(-1.0, 1.0) for name in (*TOKENS[4:], *MORE)}
        self.score, self.cost = self.random.normal(size=(2, N, responses))
        self.weight = self.random.uniform(0.5, 2.0, N)
        self.module = self._module()
        self.beside = _Demonstrations(self) if self.arrow.sft.merges else None
        ends = (self.random.random(self.mask.shape) < 0.4) & self.mask
        self.part_score = np.where(ends, self._tokens(-1.0, 1.0), 0.0)

    def _tokens(self, low: float, high: float) -> np.ndarray:
        return self.random.uniform(low, high, (*self.length.shape, T))

    def _module(self) -> OnPolicyModule:
        scoring = SimpleNamespace(everything=lambda *given: self.beside.scored)  # type: ignore[union-attr]
        reference = SimpleNamespace(moving=None)
        module = OnPolicyModule(nn.Linear(1, 1), self.arrow, scoring, reference, self.parts.optimizer, 1)
        module.scores = self._scores  # type: ignore[method-assign]
        if self.arrow.penalty.in_reward and self.arrow.penalty.adapts:
            module.penalty_scale.fill_(1.3)
        return module

    def batch(self) -> Batch:
        """All prompts, in an order that is not theirs."""
        draw = self.random.integers
        rows = [
            Row(
                draw(1, 9, 3).tolist(),
                [draw(1, 9, k).tolist() for k in lengths],
                weight=float(weight),
            )
            for lengths, weight in zip(self.length, self.weight, strict=True)
        ]
        order = [2, 0, 1]
        collate = Collator(0, self.arrow.prompt_edges)
        return collate([rows[n] for n in order], order, totals_of(rows, 1))

    def _of(self, name: str, batch: Batch, dirty: float = -9.0) -> Tensor:
        """As a model says it of a batch: anything where there is no token."""
        values = torch.from_numpy(self.table[name])[batch.index_B][..., : batch.mask_BKT.shape[2]]
        return torch.where(batch.mask_BKT, values, dirty)

    def _scores(self, batch: Batch) -> Scores:
        old = self.rolling
        said = {name: self._of(f"old_{name}" if old else name, batch) for name in ("value", "cost_value")}
        ref = self._of("ref_logp", batch)
        if not self.arrow.given_reference:
            ref = torch.zeros_like(ref)
        value = {f"{name}_BKT": said[name] for name in said} if self.arrow.critic.fits_returns else {}
        if not (self.arrow.critic.fits_returns and self.arrow.critic.costs):
            value.pop("cost_value_BKT", None)
        token = {"entropy": self._of("entropy", batch)} if self.arrow.objective.entropy else {}
        return Scores(self._of("old_logp" if old else "logp", batch), ref, None, token, value)

    rolling = False  # whether the rollout is being scored, and not trained on

    def experience(self) -> Experience:
        """Of random advantages and returns."""
        clean = {name: torch.from_numpy(np.where(self.mask, x, 0.0)) for name, x in self.table.items()}
        fits = self.arrow.critic.fits_returns
        costs = fits and self.arrow.critic.costs
        return Experience(
            old_logp=clean["old_logp"],
            ref_logp=clean["ref_logp"],
            advantage=clean["advantage"],
            reward=torch.zeros_like(clean["advantage"]),
            value=clean["old_value"] if fits else None,
            returns=clean["returns"] if fits else None,
            cost_value=clean["old_cost_value"] if costs else None,
            cost_returns=clean["cost_returns"] if costs else None,
            sampler_logp=clean["sampler_logp"],
        )

    def prepared(self) -> Experience:
        """What the module makes of the samples' scores."""
        said = Said(
            torch.from_numpy(self.score),
            torch.from_numpy(np.where(self.mask, self.table["sampler_logp"], 0.0)),
            part_NKT=torch.from_numpy(self.part_score) if self.arrow.reward_level.of_parts else None,
            cost_NK=torch.from_numpy(self.cost),
        )
        self.rolling = True
        found = self.module.prepare([self.batch()], said)
        self.rolling = False
        return found

    def loss(self) -> float:
        """As it is trained, on random advantages."""
        batch = self.batch()
        known = self.experience().at(batch.index_B, *batch.mask_BKT.shape[1:])
        beside = None if self.beside is None else self.beside.batch
        return float(self.module.loss(dataclasses.replace(batch, experience=known, beside=beside)))

    def rows(self) -> list[dict[str, Any]]:
        """As the interpreter reads them; what is no token holds anything."""
        multiplier = float(self.arrow.constraint.multiplier(self.module.constraint_state))
        return [
            {
                "K": self.length.shape[1],
                "responses": float(self.length.shape[1]),
                "mask": self.mask[n],
                "length": self.length[n].astype(float),
                "share": np.full(self.length.shape[1], 1 / self.length.shape[1]),
                "weight": np.float32(self.weight[n]),
                "score": self.score[n],
                "cost": self.cost[n],
                "part_score": self.part_score[n],
                "multiplier": multiplier,
                "penalty_scale": float(self.module.penalty_scale),
                "link": lambda s: value_of(self.arrow.divergence.text("s"), {"s": s}),
                **{name: table[n] for name, table in self.table.items()},
            }
            for n in range(N)
        ]

    def totals(self) -> dict[str, float]:
        tokens = (self.weight.astype(np.float32) * self.length.mean(1)).sum()
        found = {"rows": float(self.weight.astype(np.float32).sum()), "scored_tokens": float(tokens)}
        return found if self.beside is None else found | self.beside.totals


class _Demonstrations:
    """Two prompts, one demonstrated response each."""

    def __init__(self, rollout: Rollout) -> None:
        draw = rollout.random
        lengths, weight = (2, 4), (1.5, 0.5)
        rows = [
            Row([1] * (k + 1), [[2] * k], demo=[1.0], weight=w) for k, w in zip(lengths, weight, strict=True)
        ]
        self.batch = Collator(0, rollout.arrow.prompt_edges)(rows, [0, 1], totals_of(rows, 1))
        logp = -draw.random(self.batch.mask_BKT.shape)
        prompt, scored_BP = np.zeros((2, 0)), np.zeros((2, 0), bool)
        if self.batch.packed.prompt_edge_BP is not None:
            scored_BP = (self.batch.packed.prompt_edge_BP >= 0).numpy()
            prompt = -draw.random(scored_BP.shape)
        scored = [torch.from_numpy(x.copy()) for x in (logp, prompt)]
        self.scored = (*scored, None)
        self.rows = [
            {
                "K": 1,
                "responses": 1.0,
                "mask": np.arange(4)[None] < k,
                "length": np.array([float(k)]),
                "prompt_length": float(k),
                "logp": logp[n],
                "prompt_logp": prompt[n][scored_BP[n]],
                "demo": np.array([1.0]),
                "weight": weight[n],
            }
            for n, k in enumerate(lengths)
        ]
        self.totals = {
            "demonstrated_rows": 2.0,
            "tokens": float(np.dot(lengths, weight)),
            "prompt_tokens": float(np.dot(lengths, weight)),
        }
