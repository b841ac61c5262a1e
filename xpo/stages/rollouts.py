"""Stage ``align`` where samples are renewed all along: rollouts, sampled, annotated, scored, trained on."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from functools import partial
from typing import Any

from xpo.contracts import Batch, Row
from xpo.data.collate import Collator
from xpo.data.loader import totals_of
from xpo.data.plan import Plan as RowPlan
from xpo.data.plan import Sizes
from xpo.module.off_policy import OffPolicyModule
from xpo.module.on_policy import OnPolicyModule
from xpo.on_policy.collect import Collector
from xpo.on_policy.stream import Plan, RolloutStream
from xpo.reference.ema import Ema
from xpo.reference.moving import Moving
from xpo.reference.prepared import Prepared
from xpo.stages.align import checked, make_reference, measured
from xpo.stages.alignment import Alignment
from xpo.stages.fit import Job, fit
from xpo.stages.history import named
from xpo.stages.raters import Fitter, Rater
from xpo.stages.rounds import align_in_rounds
from xpo.stages.sampler import drawing, tempered
from xpo.stages.samples import held_out_samples
from xpo.stages.source import Rows


def align_on_rollouts(alignment: Alignment, collector: Collector) -> dict[str, float]:
    """All rounds of rollouts; the result's metrics."""
    c = alignment.setting.composition
    if c.objective.policy_gradient:  # what is reinforced is scored as it was drawn
        alignment = dataclasses.replace(alignment, policy=tempered(alignment.policy, c.sampling.temperature))
    return align_in_rounds(alignment, partial(align_by_rollouts, collector=collector))


def align_by_rollouts(alignment: Alignment, collector: Collector) -> dict[str, float]:
    """Train for one round, evaluating before, between and after; the final metrics."""
    setting, c = alignment.setting, alignment.setting.composition
    reference = alignment.reference or make_reference(alignment, lasting=True)
    average = _average(alignment)
    drawing(collector, reference, average)
    alignment = _checked(alignment, collector)
    plan = _plan(alignment, collector)
    plan = dataclasses.replace(plan, first=_earlier(alignment, plan))
    steps = _steps(alignment, plan)
    module, stream = _training(alignment, collector, reference, plan, steps)
    if average is not None:
        module.follow(average)

    def evaluate(model: Any = alignment.policy.model) -> Mapping[str, float]:
        module.policy = model
        with c.trainer.autocast(module.device.type):
            samples = held_out_samples(collector) if alignment.measure is None else {}
            return {**samples, **measured(alignment, model)}

    setting.manifest.record(
        sizes={
            "steps": steps,
            "micro_batches_per_step": plan.micro_batches,
            "prompts_per_rollout": plan.prompts,
        },
        hashes={"reference": reference.fingerprint},
    )
    stage, folder = alignment.turn.stage, alignment.turn.folder(setting.checkpoints)
    finish = alignment.finish if alignment.turn.last else None
    goes_on = finish is not None
    told = named(alignment, evaluate)
    fit(module, stream, Job(stage, steps, c.trainer, setting.log, folder, told, c.eval.every, goes_on))
    setting.manifest.record(rollouts=dict(collector.counts))
    metrics = dict(evaluate())
    setting.log.log(metrics, steps, stage)
    if finish is not None:
        metrics = finish.measure(alignment.policy.model, evaluate, steps)
        finish.settle(alignment.policy.model)
    return metrics


def _training(
    alignment: Alignment, collector: Collector, reference: Prepared, plan: Plan, steps: int
) -> tuple[OffPolicyModule, RolloutStream]:
    """Who is trained, on what: rewards of samples, or rows that are made of them."""
    policy, c, collator = alignment.policy, alignment.setting.composition, alignment.collator()
    rest = (policy.scoring, reference, c.optimizer, steps, alignment.critic)
    if not c.objective.policy_gradient:
        module = OffPolicyModule(policy.model, alignment.rows_arrow, *rest)
        fitter = Fitter(module, collector, alignment.turn.number)
        return module, RolloutStream(plan, steps, collator, fitter, alignment.probes, kept=fitter)
    module = OnPolicyModule(
        policy.model, alignment.arrow, *rest, batches_per_rollout=plan.steps * plan.micro_batches
    )
    rater = Rater(module, collector, collator, plan)
    return module, RolloutStream(plan, steps, collator, rater, beside=_beside(alignment, collator))


def _average(alignment: Alignment) -> Moving | None:
    """Of the policy, where that is who plays against it."""
    kept = alignment.setting.composition.sampling.average
    if kept is None:
        return None
    policy = alignment.policy
    return Ema(rate=1 - kept).prepare(policy.model, policy.scoring, policy.tokenizer).moving


class Demonstrations:
    """Demonstrations that come with each optimizer step, one row for a prompt; a population comes whole."""

    def __init__(self, rows: Rows, sizes: Sizes, collator: Collator, ranks: tuple[int, int]) -> None:
        self._rows, self._collator, self._ranks = rows, collator, ranks
        count = len(rows.train)
        self._plan = RowPlan(
            (1,) * count, dataclasses.replace(sizes, batch_size=min(sizes.batch_size, count))
        )

    def __call__(self, step: int, micro_batches: int) -> list[Batch | None]:
        places = range(len(self._rows.train)) if self._rows.population else self._drawn(step)
        totals = totals_of([self._rows.train[i] for i in places], micro_batches)
        rank, ranks = self._ranks
        groups = [
            list(places[rank * micro_batches + m :: ranks * micro_batches]) for m in range(micro_batches)
        ]
        return [
            self._collator([self._rows.train[i] for i in group], group, totals) if group else None
            for group in groups
        ]

    def _drawn(self, step: int) -> list[int]:
        epoch, place = divmod(step, self._plan.steps)
        return self._plan.epoch(epoch)[place]


def _beside(alignment: Alignment, collator: Collator) -> Demonstrations | None:
    """What is imitated with every step, where that is merged with what is reinforced."""
    if not alignment.arrow.sft.merges:
        return None
    return Demonstrations(alignment.rows, alignment.sizes, collator, alignment.ranks)


def _plan(alignment: Alignment, collector: Collector) -> Plan:
    c, prompts = alignment.setting.composition, collector.prompts
    longest = c.sampling.max_new_tokens if prompts.longest is None else prompts.longest
    size = c.sampling.kept + c.sampling.rivals + (c.sampling.given != "none")
    width, rows = (c.sampling.responses, 1) if c.objective.policy_gradient else c.arity.of_samples(size)
    costs = tuple(len(prompt.ids) + width * longest for prompt in prompts.train)
    epochs, minibatches = c.schedule.epochs, c.schedule.minibatches
    return Plan(costs, alignment.sizes, epochs, minibatches, alignment.ranks, rows)


def _steps(alignment: Alignment, plan: Plan) -> int:
    """Optimizer steps of the round: its share of ``trainer.steps``, or ``epochs`` of all prompts."""
    trainer = alignment.setting.composition.trainer
    if trainer.steps is not None:
        return alignment.turn.share(trainer.steps)
    return max(1, round(trainer.epochs * len(plan.costs) / plan.prompts)) * plan.steps


def _earlier(alignment: Alignment, plan: Plan) -> int:
    """How many rollouts the rounds before have had: prompts go on where they were."""
    turns = (dataclasses.replace(alignment.turn, number=n) for n in range(1, alignment.turn.number))
    each = (_steps(dataclasses.replace(alignment, turn=turn), plan) for turn in turns)
    return sum(-(-steps // plan.steps) for steps in each)


def _checked(alignment: Alignment, collector: Collector) -> Alignment:
    """The scoring path, compared with the model's own forward pass on responses of its own."""
    prompts = collector.prompts.train[:2]
    answered = collector.drawn(prompts, "check", 2)
    rows = [Row(prompt.ids, responses) for prompt, responses in zip(prompts, answered.responses, strict=True)]
    done = checked(dataclasses.replace(alignment, rows=Rows(rows)))
    collector.clock.take()
    return dataclasses.replace(done, rows=alignment.rows)
