"""Stage ``sft``: imitate demonstrations before alignment, once per recipe; the result is cached."""

from __future__ import annotations

import dataclasses
import shutil
from collections.abc import Callable
from typing import Any

from xpo.anchor.none import NoAnchor
from xpo.arrow import OffPolicy
from xpo.compose.composition import Composition
from xpo.data.collate import Collator
from xpo.data.loader import ProbeRows
from xpo.data.plan import Sizes
from xpo.divergence.none import NoDivergence
from xpo.errors import UserError
from xpo.label_noise.none import NoNoise
from xpo.length.sum import Sum
from xpo.margin.none import NoMargin
from xpo.model.loaded import Loaded
from xpo.module.off_policy import OffPolicyModule
from xpo.objective.likelihood import Likelihood
from xpo.polarity.both import Both
from xpo.reduce.tokens import Tokens
from xpo.reference.cache import hash_rows
from xpo.reference.none import NoReference
from xpo.reward.none import NoReward
from xpo.reward_form.none import NoForm
from xpo.reward_level.none import NoLevel
from xpo.run.manifest import hash_text
from xpo.run.ranks import rank, world_size
from xpo.run.say import say, shown
from xpo.sft.none import NoSFT
from xpo.stages.fit import Job, fit
from xpo.stages.loaders import training_loader
from xpo.stages.setting import Setting
from xpo.stages.source import Policy, Rows, Source
from xpo.stages.stored import load_weights, save_weights
from xpo.weighting.none import NoWeighting


def wanted(setting: Setting, source: Source, loaded: Loaded) -> str | None:
    """Why the stage is skipped; None if it runs."""
    option = setting.composition.sft
    if not option.stage:
        return f"sft={setting.composition.option('sft')}"
    if loaded.head is not None:
        return "the model is a reward model"
    if option.parallel and not loaded.untrained:
        return "the model is trained: both branches begin from it"
    if not loaded.untrained and not source.demonstrations_given:
        return "the model is trained and no demonstrations are given"
    return None


def run_sft(setting: Setting, source: Source, policy: Policy, loaded: Loaded) -> float:
    """Fine-tune the policy in place, or load the cached result of the same recipe; seconds of training."""
    rows = source.demonstrations()
    if not rows.train:
        raise UserError(
            f"the sft stage has nothing to imitate: {rows.why or 'no training row has a good response'}. "
            "Give demonstrations (data.demonstrations), a trained model (model=hf), or set sft=none"
        )
    path = setting.cache / "sft" / f"{recipe_key(setting, rows, loaded.fingerprint)}.safetensors"
    if path.is_file() and load_weights(path, policy.model):
        say(f"sft is done already: its weights come from {shown(path)}")
        return 0.0
    policy.model.requires_grad_(True)
    seconds = imitate(setting, rows, policy, "sft", OffPolicyModule)
    if rank() == 0:
        save_weights(path, policy.model)
        shutil.rmtree(setting.checkpoints / "sft", ignore_errors=True)
    return seconds


def imitate(
    setting: Setting, rows: Rows, policy: Policy, stage: str, make: Callable[..., OffPolicyModule]
) -> float:
    """Train what is trainable on demonstrations, by the sft option's recipe; the seconds it took.

    ``make`` takes what ``OffPolicyModule`` takes. Checkpoints lie in a folder of the stage's name.
    """
    c, recipe = setting.composition, setting.composition.sft.recipe
    sizes = Sizes(recipe.batch_size, c.trainer.tokens_per_micro_batch, seed=c.seed)
    collator = Collator(policy.tokenizer.pad_token_id, support=policy.scoring.support)
    ranks = (rank(), world_size(c.trainer))
    loader = training_loader(rows, sizes, collator, ranks=ranks, probes=ProbeRows())
    length = {"steps": recipe.steps, "epochs": recipe.epochs}
    settings = dataclasses.replace(c.trainer, batch_size=recipe.batch_size, **length)
    steps = settings.total_steps(len(rows.train))
    no_reference = NoReference().prepare(policy.model, policy.scoring, policy.tokenizer)
    module = make(policy.model, likelihood_arrow(), policy.scoring, no_reference, _optimizer(c), steps)
    return fit(module, loader, Job(stage, steps, settings, setting.log, setting.checkpoints / stage))


def _optimizer(c: Composition) -> Any:
    """The run's optimizer at the stage's own rate."""
    return dataclasses.replace(c.optimizer, lr=c.sft.lr)


def likelihood_arrow() -> OffPolicy:
    """The arrow of plain imitation: no reward, the mean over tokens."""
    return OffPolicy(
        length=Sum(),
        divergence=NoDivergence(),
        reward_level=NoLevel(),
        reward=NoReward(),
        reward_form=NoForm(),
        polarity=Both(),
        label_noise=NoNoise(),
        margin=NoMargin(),
        objective=Likelihood(),
        weighting=NoWeighting(),
        reduce=Tokens(),
        sft=NoSFT(),
        anchor=NoAnchor(),
        given_reference=False,
    )


def recipe_key(setting: Setting, rows: Rows, start: str, *more: Any) -> str:
    """Everything that the stage's weights depend on, so that methods that differ elsewhere share them.

    ``start`` is the fingerprint of the weights before it, ``more`` what else this training depends on.
    """
    c = setting.composition
    trainer = (c.trainer.precision, c.trainer.clip_grad_norm, c.trainer.tokens_per_micro_batch)
    recipe = (c.sft.recipe, _optimizer(c), *trainer, world_size(c.trainer), c.seed, *more)
    masses = [[float(mass) for mass in row.demo or ()] for row in rows.train]
    return hash_text("2", start, hash_rows(rows.train), repr(masses), *map(repr, recipe))[:32]
