"""One optimizer step's loss and gradient of a composition: does an override do anything?"""

from __future__ import annotations

import contextlib
import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from xpo.annotator.base import Desk
from xpo.arrows import Arrow, arrow_of
from xpo.contracts import Batch, Row
from xpo.data.build import fingerprint
from xpo.data.collate import Collator
from xpo.data.loader import ProbeRows
from xpo.data.plan import Sizes
from xpo.explain.ground import Ground, drift, ground
from xpo.explain.probe_samples import brief, rollout_batch, sampled_rows
from xpo.module.off_policy import OffPolicyModule
from xpo.module.on_policy import OnPolicyModule
from xpo.module.reward_model import RewardModule
from xpo.scoring.score import Scoring
from xpo.stages.loaders import training_loader
from xpo.stages.source import Policy, Rows

if TYPE_CHECKING:
    from xpo.compose.composition import Composition

ROWS, TOKENS = 64, 1_000_000  # at least, of a step: all rows of the probes are in one micro-batch
TOLERANCE = 1e-6  # relative


@dataclass(frozen=True)
class Probe:
    """What a step of training sees and does. Two runs that train the same have the same four."""

    loss: float
    gradient: torch.Tensor
    data: str
    schedule: str

    def changes(self, other: Probe) -> list[str]:
        """Which of the four differ."""
        same = {
            "loss": abs(self.loss - other.loss) <= TOLERANCE * max(1.0, abs(self.loss)),
            "gradient": self.gradient.shape == other.gradient.shape
            and bool(
                (self.gradient - other.gradient).norm() <= TOLERANCE * max(1.0, self.gradient.norm().item())
            ),
            "data": self.data == other.data,
            "schedule": self.schedule == other.schedule,
        }
        return [what for what, is_same in same.items() if not is_same]


def probe(composition: Composition) -> Probe:
    """Read or sample, tokenise, score, train one step's loss, the policy drifted from its reference.

    An adapter has drifted once more before that, as after a stage of its own, so that a reference below
    it is another one than the policy at the start. Of a rollout the policy has drifted on since it was
    sampled, as in its later steps.
    """
    c = brief(composition)
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        below = ground(c)
        torch.manual_seed(0)  # whether the ground was there or made
        bench = _bench(c, below)
        module, batch, rows = (_of_rollout if c.objective.policy_gradient else _of_rows)(bench)
    loss = module.loss(batch)
    loss.backward()
    return Probe(float(loss.detach()), _gradient(module), fingerprint(rows), _schedule(composition))


@dataclass(frozen=True)
class _Bench:
    """The ground with a policy of its own, and what a method has before there is a module."""

    c: Composition
    ground: Ground
    start: Policy
    arrow: Arrow
    reference: Any
    collator: Collator

    @property
    def parts(self) -> tuple[Any, Any, Scoring, Any, Any, int]:
        """What modules are made of, but for their critic."""
        scoring = self.start.scoring
        return (self.start.model, self.arrow, scoring, self.reference, self.c.optimizer, 1)


def _bench(c: Composition, below: Ground) -> _Bench:
    arrow, start = arrow_of(c), below.copied()
    collator = Collator(
        start.tokenizer.pad_token_id,
        arrow.prompt_edges,
        None,
        None if c.critic.every_state else start.scoring.support,
        c.reward.trains_head,
        c.reward.separator(start.tokenizer) if c.reward.trains_head else None,
    )
    untouched = below.start  # it outlives every update, so that a frozen reference needs no copy
    reference = c.reference.prepare(untouched.model, untouched.scoring, untouched.tokenizer)
    return _Bench(c, below, start, arrow, reference, collator)


def _of_rows(bench: _Bench) -> tuple[OffPolicyModule, Batch, Sequence[Row]]:
    """Rows that are given, or sampled as a round begins."""
    c, start = bench.c, bench.start
    rows = bench.ground.rows or Rows(sampled_rows(c, bench.ground.answers))
    bos = start.tokenizer.bos_token_id
    loader = training_loader(
        rows,
        Sizes(max(ROWS, len(rows.train)), TOKENS),
        bench.collator,
        ranks=(0, 1),
        probes=ProbeRows(bench.arrow.statistic_rows, rows.limits, bos),
    )
    parts = (*bench.parts, c.critic.build(start.model, c.seed))
    module = OffPolicyModule(*parts)
    if c.reward.trains_head:
        head = c.reward.build(c.reward_form, start.model, c.seed)
        module = RewardModule(*parts, head=head, lr_scale=c.reward.lr_scale)
    _drifted(module)
    return module, next(iter(loader)), rows.train


def _of_rollout(bench: _Bench) -> tuple[OffPolicyModule, Batch, Sequence[Row]]:
    c = bench.c
    module = OnPolicyModule(*bench.parts, c.critic.build(bench.start.model, c.seed))
    _drifted(module)
    batch, rows = rollout_batch(module, bench.ground, c, bench.collator)
    _drifted(module)
    return module, batch, rows


def _drifted(module: OffPolicyModule) -> None:
    drift(module.policy)
    if module.critic is not None:
        drift(module.critic)


def _gradient(module: OffPolicyModule) -> torch.Tensor:
    return torch.cat([p.grad.flatten() for p in module.parameters() if p.grad is not None])


def _schedule(c: Composition) -> str:
    """What runs beside the step: a stage before it, sampling, refreshing, a reference that moves."""
    moves = c.reference.given and not c.reference.cacheable
    return repr((c.sft if c.sft.stage else None, c.sampling, c.schedule, c.reference if moves else None))


def save_model(composition: Composition, folder: Path) -> Path:
    """A model folder with the composition's tokenizer and other weights, for options that take one."""
    with contextlib.redirect_stdout(io.StringIO()):
        source = composition.data.open(composition, Desk.of(composition))
        loaded = composition.model.load(
            seed=composition.seed + 1, texts=source.texts, tokenizer=source.tokenizer
        )
    loaded.model.save_pretrained(folder)
    loaded.tokenizer.save_pretrained(folder)
    return folder
