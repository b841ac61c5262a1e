"""Stage ``align``: the composed objective on the run's rows."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from xpo.contracts import Batch, Row
from xpo.data.loader import EvalLoader
from xpo.errors import UserError
from xpo.module.off_policy import OffPolicyModule
from xpo.module.reward_model import RewardModule
from xpo.reference.cache import ReferenceCache, hash_rows, open_or_build
from xpo.reference.prepared import Prepared
from xpo.reward_model.read import Judge
from xpo.run.manifest import hash_text
from xpo.run.progress import progress
from xpo.run.say import say
from xpo.run.state import ANEW
from xpo.scoring.path import self_check
from xpo.stages.alignment import Alignment
from xpo.stages.fit import Job, fit
from xpo.stages.heldout import held_out
from xpo.stages.history import named
from xpo.stages.loaders import probe_batch, training_loader
from xpo.stages.token_rewards import keep_reference, leave_token_rewards


def align(alignment: Alignment) -> dict[str, float]:
    """Train, evaluating before, between and after; the final metrics."""
    setting, c = alignment.setting, alignment.setting.composition
    alignment = checked(_with_fewer_test_rows(alignment))
    reference = alignment.reference or make_reference(alignment)
    if reference.moving is None:
        keep_reference(alignment, reference)
    train_ref = _cached(alignment, reference, alignment.rows.train, "train")
    test_ref = _cached(alignment, reference, alignment.rows.test, "test")
    loader = training_loader(
        alignment.rows,
        alignment.sizes,
        alignment.collator(train_ref),
        ranks=alignment.ranks,
        probes=alignment.probes,
    )
    steps = _steps(alignment)
    module = module_of(alignment, reference, steps)

    def evaluate(model: Any = alignment.policy.model) -> Mapping[str, float]:
        module.policy = model
        with c.trainer.autocast(module.device.type):
            said = {} if alignment.samples is None else alignment.samples()
            return {**_held_out(alignment, module, test_ref), **said, **measured(alignment, model)}

    _tell_a_standing_reference(reference, steps)
    setting.manifest.record(
        sizes=_sizes(alignment, steps, loader),
        hashes={"reference": reference.fingerprint, **_row_hashes(alignment)},
    )
    stage, folder = alignment.turn.stage, alignment.turn.folder(setting.checkpoints)
    finish = alignment.finish if alignment.turn.last else None
    goes_on = finish is not None
    told = named(alignment, evaluate)
    fit(module, loader, Job(stage, steps, c.trainer, setting.log, folder, told, c.eval.every, goes_on))
    metrics = dict(evaluate())
    setting.log.log(metrics, steps, stage)
    if finish is not None:
        metrics = finish.measure(alignment.policy.model, evaluate, steps)
    if reference.moving is not None:
        keep_reference(alignment, reference)
    leave_token_rewards(alignment, module, test_ref)
    if finish is not None:
        finish.settle(alignment.policy.model)
    return metrics


def _steps(alignment: Alignment) -> int:
    """Optimizer steps of the round; ``trainer.steps`` is of the whole run."""
    trainer = alignment.setting.composition.trainer
    steps = trainer.total_steps(len(alignment.rows.train))
    return steps if trainer.steps is None else alignment.turn.share(steps)


def module_of(alignment: Alignment, reference: Prepared, steps: int) -> OffPolicyModule:
    """What is trained for so many steps, and asked for rewards."""
    policy, c = alignment.policy, alignment.setting.composition
    arrow, critic = alignment.rows_arrow, alignment.critic
    parts = (policy.model, arrow, policy.scoring, reference, c.optimizer, steps, critic)
    if alignment.head is not None:
        return RewardModule(*parts, head=alignment.head, lr_scale=c.reward.lr_scale)
    return OffPolicyModule(*parts)


def _tell_a_standing_reference(reference: Prepared, steps: int) -> None:
    """Loudly, where a reference that should move will not."""
    moving = reference.moving
    if moving is not None and moving.every is not None and moving.every > steps:
        say(f"THE REFERENCE NEVER MOVES: reference.every={moving.every}, and there are {steps} steps")


def _with_fewer_test_rows(alignment: Alignment) -> Alignment:
    """At most ``eval.rows`` held-out rows, the first ones."""
    kept = alignment.rows.test[: alignment.setting.composition.eval.rows]
    return dataclasses.replace(alignment, rows=dataclasses.replace(alignment.rows, test=kept))


def checked(alignment: Alignment) -> Alignment:
    """Compare the scoring path with the model's own forward pass on the first rows.

    Raises ``UserError`` where they differ: in a later round of the round before, since they agreed in the
    first.
    """
    rows = [Row(row.prompt, list(row.responses)[:2]) for row in alignment.rows.train[:2]]
    batch = next(iter(EvalLoader(rows, alignment.sizes, alignment.collator())))
    try:
        scoring, message = self_check(alignment.policy.model, batch, alignment.policy.scoring)
    except UserError as error:
        if alignment.turn.number == 1:
            raise
        raise diverged(
            alignment.turn.number - 1, f"its policy cannot be scored any more ({error})"
        ) from error
    alignment.setting.manifest.record(scoring={"path": scoring.path, "check": message})
    if scoring.path != alignment.policy.scoring.path:
        say(message)
    return dataclasses.replace(alignment, policy=dataclasses.replace(alignment.policy, scoring=scoring))


def diverged(number: int, why: str) -> UserError:
    """What to say of a round that leaves nothing to go on from."""
    return UserError(
        f"round {number} diverged: {why}. Lower optimizer.lr, or set trainer.clip_grad_norm, and {ANEW}"
    )


def make_reference(alignment: Alignment, lasting: bool = False) -> Prepared:
    """Where rows that are not cached will be asked for, the reference must outlive the first update.

    ``lasting``: it must outlive this round."""
    option = alignment.setting.composition.reference
    if option.cacheable and option.cache and (lasting or not alignment.caches):
        option = dataclasses.replace(option, cache=False)
    return option.prepare(alignment.policy.model, alignment.policy.scoring, alignment.policy.tokenizer)


def _cached(
    alignment: Alignment, reference: Prepared, rows: Sequence[Row], split: str
) -> ReferenceCache | None:
    if not alignment.caches or not rows:
        return None
    c = alignment.setting.composition
    parts = {
        "weights": reference.fingerprint,
        "rows": hash_rows(rows),
        "precision": c.trainer.precision,
        "scoring": hash_text(repr(alignment.policy.scoring), repr(alignment.policy.scoring.support)),
    }

    def batches() -> Iterable[Batch]:
        loader = EvalLoader(rows, alignment.sizes, alignment.collator())
        device = next(alignment.policy.model.parameters()).device
        with progress(len(loader), f"caching the reference ({split})") as bar:
            for batch in loader:
                yield batch.to(device)
                bar.advance()

    # in the precision of the training, so that policy and reference agree bit by bit at the first step
    with c.trainer.autocast(next(alignment.policy.model.parameters()).device.type):
        return open_or_build(alignment.setting.cache / "reference", parts, len(rows), batches, reference)


def _eval_loader(alignment: Alignment, rows: Sequence[Row], ref: ReferenceCache | None) -> EvalLoader:
    number, count = alignment.ranks
    return EvalLoader(rows, alignment.sizes, alignment.collator(ref), rank=number, world_size=count)


def _held_out(alignment: Alignment, module: OffPolicyModule, ref: ReferenceCache | None) -> dict[str, float]:
    rows = alignment.rows.test
    if not rows:
        return {}
    loader = _eval_loader(alignment, rows, ref)
    return held_out(module, loader, _probes(alignment, ref) if alignment.arrow.statistic_rows else None)


def _probes(alignment: Alignment, ref: ReferenceCache | None) -> Batch:
    return probe_batch(
        alignment.rows, alignment.sizes, alignment.collator(ref), alignment.ranks, alignment.probes
    )


def measured(alignment: Alignment, model: Any) -> Mapping[str, float]:
    beside = {} if alignment.between is None else alignment.between.scores()
    if alignment.measure is None:
        return beside
    decoding = None if alignment.critic is None else alignment.critic.decoding
    decoded = None if decoding is None else decoding.scoring(alignment.policy.scoring)
    judge = None if alignment.head is None else Judge(alignment.head, alignment.arrow)
    return {**alignment.measure(model, decoded, judge), **beside}


def _sizes(alignment: Alignment, steps: int, loader: Any) -> dict[str, int]:
    parameters = list(alignment.policy.model.parameters())
    part = alignment.critic or alignment.head
    beside = [] if part is None else list(part.parameters())
    return {
        "parameters": sum(p.numel() for p in parameters),
        "trainable_parameters": sum(p.numel() for p in parameters if p.requires_grad),
        "parameters_beside": sum(p.numel() for p in beside if p.requires_grad),
        "steps": steps,
        "micro_batches_per_step": loader.micro_batches,
        "ranks": alignment.ranks[1],
        "train_rows": len(alignment.rows.train),
        "test_rows": len(alignment.rows.test),
    }


def _row_hashes(alignment: Alignment) -> dict[str, str]:
    return {"train_rows": hash_rows(alignment.rows.train), "test_rows": hash_rows(alignment.rows.test)}
