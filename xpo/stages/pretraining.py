"""Stage ``pretraining``: a reward model's trunk and head learn other comparisons first, once per recipe."""

from __future__ import annotations

import dataclasses
import shutil
from typing import Any

import numpy as np
from torch import nn

from xpo.anchor.none import NoAnchor
from xpo.arrow import OffPolicy
from xpo.data.collate import Collator
from xpo.data.loader import ProbeRows
from xpo.data.plan import Sizes
from xpo.label_noise.none import NoNoise
from xpo.margin.none import NoMargin
from xpo.model.loaded import fingerprint
from xpo.module.reward_model import RewardModule
from xpo.objective.logistic import Logistic
from xpo.polarity.both import Both
from xpo.reduce.rows import Rows as MeanOverRows
from xpo.reference.cache import hash_rows
from xpo.reference.none import NoReference
from xpo.reward_model.heads import RewardHead
from xpo.run.manifest import hash_text
from xpo.run.ranks import rank, world_size
from xpo.run.say import say, shown
from xpo.scoring.parts import output_idle
from xpo.stages.fit import Job, fit
from xpo.stages.loaders import training_loader
from xpo.stages.setting import Setting
from xpo.stages.source import Policy, Rows, Source
from xpo.stages.stored import load_weights, save_weights
from xpo.weighting.none import NoWeighting

STAGE = "pretraining"


def run_pretraining(setting: Setting, source: Source, policy: Policy, head: RewardHead) -> float:
    """Train policy and head in place, or load the cached result of the same recipe; seconds of training."""
    rows, arrow = source.pretraining(), comparisons_arrow(setting.composition)
    both = nn.ModuleDict({"policy": policy.model, "head": head})
    path = setting.cache / STAGE / f"{_key(setting, rows, arrow, fingerprint(both))}.safetensors"
    if path.is_file() and load_weights(path, both):
        say(f"{STAGE} is done already: its weights come from {shown(path)}")
        return 0.0
    with output_idle(policy.model, not arrow.sft.merges):
        seconds = _train(setting, rows, policy, arrow, head)
    if rank() == 0:
        save_weights(path, both)
        shutil.rmtree(setting.checkpoints / STAGE, ignore_errors=True)
    return seconds


def comparisons_arrow(parts: Any) -> OffPolicy:
    """Bradley-Terry of the run's head, as it reads responses, with the option's likelihood beside it."""
    return OffPolicy(
        length=parts.length,
        divergence=parts.divergence,
        reward_level=parts.reward_level,
        reward=parts.reward,
        reward_form=parts.reward_form,
        polarity=Both(),
        label_noise=NoNoise(),
        margin=NoMargin(),
        objective=Logistic(),
        weighting=NoWeighting(),
        reduce=MeanOverRows(),
        sft=parts.pretraining.likelihood,
        anchor=NoAnchor(),
        given_reference=False,
    )


def _train(setting: Setting, rows: Rows, policy: Policy, arrow: OffPolicy, head: RewardHead) -> float:
    c, recipe = setting.composition, setting.composition.pretraining
    sizes = Sizes(recipe.batch_size, c.trainer.tokens_per_micro_batch, seed=c.seed)
    between, support = c.reward.separator(policy.tokenizer), policy.scoring.support
    collator = Collator(policy.tokenizer.pad_token_id, support=support, whole=True, separator=between)
    loader = training_loader(rows, sizes, collator, ranks=(rank(), world_size(c.trainer)), probes=ProbeRows())
    length = {"steps": recipe.steps, "epochs": recipe.epochs}
    settings = dataclasses.replace(c.trainer, batch_size=recipe.batch_size, **length)
    steps = settings.total_steps(len(rows.train))
    no_reference = NoReference().prepare(policy.model, policy.scoring, policy.tokenizer)
    parts = (policy.model, arrow, policy.scoring, no_reference, _optimizer(c), steps)
    module = RewardModule(*parts, head=head, lr_scale=c.reward.lr_scale)
    return fit(module, loader, Job(STAGE, steps, settings, setting.log, setting.checkpoints / STAGE))


def _optimizer(c: Any) -> Any:
    """The run's optimizer at the stage's own rate."""
    return dataclasses.replace(c.optimizer, lr=c.pretraining.lr)


def _key(setting: Setting, rows: Rows, arrow: OffPolicy, start: str) -> str:
    """Everything that the stage's weights depend on; ``start`` is the hash of the weights before it."""
    c = setting.composition
    trainer = (c.trainer.precision, c.trainer.clip_grad_norm, c.trainer.tokens_per_micro_batch)
    recipe = (c.pretraining, _optimizer(c), *trainer, world_size(c.trainer), c.seed, arrow, c.reward_form)
    masses = [[_told(row.prefer), _told(row.demo), row.weight] for row in rows.train]
    return hash_text("1", start, hash_rows(rows.train), repr(masses), *map(repr, recipe))[:32]


def _told(values: Any) -> list[Any]:
    """Masses as plain numbers, whether they come as tuples or as an array."""
    return [] if values is None else np.asarray(values, dtype=np.float64).tolist()
