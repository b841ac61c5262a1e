"""One optimizer step's loss and gradient of a composition: does an override do anything?"""

from __future__ import annotations

import contextlib
import dataclasses
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
from xpo.explain.probe_samples import brief, collector_of, rollout_batch, round_rows
from xpo.module.off_policy import OffPolicyModule
from xpo.module.on_policy import OnPolicyModule
from xpo.module.reward_model import RewardModule
from xpo.scoring.path import choose_path
from xpo.scoring.score import Scoring
from xpo.stages.loaders import training_loader
from xpo.stages.opening import window
from xpo.stages.sampler import tempered
from xpo.stages.source import Policy, Rows
from xpo.stages.weights import weighed

if TYPE_CHECKING:
    from xpo.compose.composition import Composition

ROWS, TOKENS = 64, 1_000_000  # at least, of a step: all rows of the probes are in one micro-batch
DRIFT = 0.02  # standard deviation of what stands in for training, per weight
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
    torch.manual_seed(0)
    c = brief(composition)
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        bench = _bench(c)
        module, batch, rows = (_of_rollout if c.objective.policy_gradient else _of_rows)(bench)
    loss = module.loss(batch)
    loss.backward()
    return Probe(float(loss.detach()), _gradient(module), fingerprint(rows), _schedule(composition))


@dataclass(frozen=True)
class _Bench:
    """What a probe stands on before there are rows."""

    c: Composition
    arrow: Arrow
    source: Any
    start: Policy
    reference: Any
    collator: Collator

    @property
    def parts(self) -> tuple[Any, Any, Scoring, Any, Any, int]:
        """What modules are made of, but for their critic."""
        scoring = self.start.scoring
        return (self.start.model, self.arrow, scoring, self.reference, self.c.optimizer, 1)


def _bench(c: Composition) -> _Bench:
    arrow, source = arrow_of(c), c.data.open(c, Desk.of(c))
    loaded = c.model.load(seed=c.seed, texts=source.texts, tokenizer=source.tokenizer)
    source.tokenize(loaded.tokenizer, window(loaded.model))
    policy = c.adapter.apply(loaded.model, c.seed)
    if c.adapter.adapts:
        _drift(policy)
    scoring = Scoring(path=choose_path(loaded.model)[0], support=source.support)
    start = Policy(policy, loaded.tokenizer, scoring, trained=True)
    if c.objective.policy_gradient:
        start = tempered(start, c.sampling.temperature)
    collator = Collator(
        loaded.tokenizer.pad_token_id,
        arrow.prompt_edges,
        None,
        None if c.critic.every_state else source.support,
        c.reward.trains_head,
        c.reward.separator(loaded.tokenizer) if c.reward.trains_head else None,
    )
    reference = _lasting(c.reference).prepare(policy, start.scoring, loaded.tokenizer)
    return _Bench(c, arrow, source, start, reference, collator)


def _of_rows(bench: _Bench) -> tuple[OffPolicyModule, Batch, Sequence[Row]]:
    """Rows that are given, or sampled as a round begins."""
    c, start = bench.c, bench.start
    if c.sampling.samples and not bench.source.renews:
        rows = Rows(round_rows(c, collector_of(c, bench.source, start, bench.reference)))
    else:
        rows, _ = weighed(c, start, bench.source.rows(start, bench.arrow.needs))
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
    collector = collector_of(c, bench.source, bench.start, bench.reference)
    beside = bench.source.demonstrations() if c.sft.merges else None
    batch, rows = rollout_batch(module, collector, bench.collator, beside)
    _drifted(module)
    return module, batch, rows


def _drifted(module: OffPolicyModule) -> None:
    _drift(module.policy)
    if module.critic is not None:
        _drift(module.critic)


def _lasting(reference: Any) -> Any:
    """The reference option such that it outlives an update without a cache on disk."""
    return dataclasses.replace(reference, cache=False) if reference.cacheable else reference


def _drift(policy: Any) -> None:
    random = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for weight in policy.parameters():
            if weight.requires_grad:
                weight += DRIFT * torch.randn(weight.shape, generator=random)


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
