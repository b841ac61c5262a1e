"""Stage ``align`` where samples are renewed all along: rollouts, sampled, annotated, scored, trained on."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import torch

from xpo.contracts import Batch, Row
from xpo.data.collate import Collator
from xpo.data.loader import totals_of
from xpo.data.plan import Plan as RowPlan
from xpo.data.plan import Sizes
from xpo.module.on_policy import OnPolicyModule, Said
from xpo.on_policy.collect import Answered, Collector
from xpo.on_policy.experience import Rollout, table
from xpo.on_policy.stream import Plan, RolloutStream
from xpo.stages.align import checked, make_reference, measured
from xpo.stages.alignment import Alignment
from xpo.stages.fit import Job, fit
from xpo.stages.sampler import drawing, tempered
from xpo.stages.source import Rows


def align_by_rollouts(alignment: Alignment, collector: Collector) -> dict[str, float]:
    """Train, evaluating before, between and after; the final metrics."""
    setting, c = alignment.setting, alignment.setting.composition
    alignment = dataclasses.replace(alignment, policy=tempered(alignment.policy, c.sampling.temperature))
    reference = make_reference(alignment, lasting=True)
    drawing(collector, reference)
    alignment = _checked(alignment, collector)
    plan = _plan(alignment, collector)
    steps = _steps(c, plan)
    policy = alignment.policy
    module = OnPolicyModule(
        *(policy.model, alignment.arrow, policy.scoring, reference, c.optimizer, steps, alignment.critic),
        batches_per_rollout=plan.steps * plan.micro_batches,
    )
    collator = alignment.collator()
    rater = Rater(module, collector, collator, plan)
    stream = RolloutStream(plan, steps, collator, rater, beside=_beside(alignment, collator))

    def evaluate(model: Any = policy.model) -> Mapping[str, float]:
        module.policy = model
        with c.trainer.autocast(module.device.type):
            return {**_held_out(alignment, collector), **measured(alignment, model)}

    setting.manifest.record(
        sizes={
            "steps": steps,
            "micro_batches_per_step": plan.micro_batches,
            "prompts_per_rollout": plan.prompts,
        },
        hashes={"reference": reference.fingerprint},
    )
    stage, folder = alignment.turn.stage, alignment.turn.folder(setting.checkpoints)
    fit(module, stream, Job(stage, steps, c.trainer, setting.log, folder, evaluate, c.eval.every))
    setting.manifest.record(rollouts=dict(collector.counts))
    metrics = dict(evaluate())
    setting.log.log(metrics, steps, stage)
    return metrics


@dataclasses.dataclass
class Rater:
    """``rater(prompts, number)`` is a rollout: sampled, annotated, and scored by policy and reference."""

    module: OnPolicyModule
    collector: Collector
    collator: Collator
    plan: Plan

    def __call__(self, indices: Sequence[int], number: int) -> Rollout:
        module, collector = self.module, self.collector
        settings = collector.parts.trainer
        with settings.autocast(module.device.type):
            answers = collector.rollout(indices, number)
            rows = [answer.row() for answer in answers]
            with collector.clock("score"):
                experience = module.prepare(
                    list(self._batches(rows)), _said(answers, collector, module.device)
                )
        module.sums.add("rollout/finished", *_finished(answers))
        for phase, seconds in collector.clock.take().items():
            module.sums.add(f"time/{phase}", torch.tensor(seconds))
        return Rollout(rows, experience)

    def _batches(self, rows: Sequence[Row]) -> Iterator[Batch]:
        each = self.plan.each
        for start in range(0, len(rows), each):
            index = list(range(start, min(start + each, len(rows))))
            chosen = [rows[i] for i in index]
            yield self.collator(chosen, index, totals_of(chosen, 1)).to(self.module.device)


def _said(answers: Sequence[Answered], collector: Collector, device: Any) -> Said:
    part_NKT = None
    if collector.parts.reward_level.of_parts:
        part_NKT = table([answer.placed(collector.policy.tokenizer) for answer in answers]).to(device)
    costs = [answer.record.costs for answer in answers]
    given = [cost for cost in costs if cost is not None]
    return Said(
        torch.tensor([answer.values for answer in answers], device=device),
        table([answer.logps for answer in answers]).to(device),
        part_NKT=part_NKT,
        cost_NK=torch.tensor(given, dtype=torch.float32, device=device) if len(given) == len(costs) else None,
    )


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
    costs = tuple(len(prompt.ids) + c.sampling.responses * longest for prompt in prompts.train)
    return Plan(costs, alignment.sizes, c.schedule.epochs, c.schedule.minibatches, alignment.ranks)


def _steps(c: Any, plan: Plan) -> int:
    """Optimizer steps of the run: ``trainer.steps``, or so many that prompts come up ``epochs`` times."""
    if c.trainer.steps is not None:
        return c.trainer.steps
    return max(1, round(c.trainer.epochs * len(plan.costs) / plan.prompts)) * plan.steps


def _checked(alignment: Alignment, collector: Collector) -> Alignment:
    """The scoring path, compared with the model's own forward pass on responses of its own."""
    prompts = collector.prompts.train[:2]
    answered = collector.drawn(prompts, "check", 2)
    rows = [Row(prompt.ids, responses) for prompt, responses in zip(prompts, answered.responses, strict=True)]
    done = checked(dataclasses.replace(alignment, rows=Rows(rows)))
    collector.clock.take()
    return dataclasses.replace(done, rows=alignment.rows)


def _held_out(alignment: Alignment, collector: Collector) -> dict[str, float]:
    """What samples for held-out prompts, one each, are like; nothing where it is known exactly.

    What they are worth is said of single ones: among samples of one policy half of all comparisons is won.
    """
    if alignment.measure is not None or not collector.prompts.test:
        return {}
    prompts = collector.prompts.test[: alignment.setting.composition.eval.rows]
    if _compares(collector.parts):
        drawn = collector.drawn(prompts, "held out", 1)
        return _ends([row[0] for row in drawn.responses], [row[0] for row in drawn.finished])
    answers = collector.answers(prompts, "held out", 1)
    collector.clock.take()
    worth = sum(answer.values[0] for answer in answers) / len(answers)
    ends = _ends([answer.responses[0] for answer in answers], [answer.finished[0] for answer in answers])
    return {"eval/sample_score": worth, **ends}


def _compares(parts: Any) -> bool:
    """Whether a sample is worth something beside others only."""
    return bool(
        parts.annotator.compares
        or parts.annotator.quadratic
        or parts.reward_form.reads == "wins"
        or parts.feedback.on_policy == "comparisons"
    )


def _ends(responses: Sequence[Sequence[int]], finished: Sequence[bool]) -> dict[str, float]:
    return {
        "eval/sample_length": sum(map(len, responses)) / len(responses),
        "eval/sample_finished": sum(finished) / len(finished),
    }


def _finished(answers: Sequence[Answered]) -> tuple[torch.Tensor, float]:
    ended = [float(done) for answer in answers for done in answer.finished]
    return torch.tensor(sum(ended)), float(len(ended))
