"""Rollouts whose responses and scores are written down, through the real collector, collator and module."""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from xpo.annotator.base import Desk, Labeller, Verdict
from xpo.arrows import arrow_of
from xpo.compose import build
from xpo.compose.assembled import assembled
from xpo.contracts import Batch
from xpo.data.collate import Collator
from xpo.data.plan import Sizes
from xpo.data.prompts import Prompt, Prompts
from xpo.data.record import Record
from xpo.data.spoken import Spoken
from xpo.gold.world import World
from xpo.model.scratch import Scratch
from xpo.module.on_policy import OnPolicyModule
from xpo.on_policy.collect import Collector
from xpo.on_policy.experience import Experience
from xpo.on_policy.stream import Plan, RolloutStream
from xpo.reference.prepared import Prepared, standing
from xpo.sampler.base import Draw, Sampled
from xpo.sampler.policy import Policy
from xpo.scoring.score import Scoring
from xpo.stages.rollouts import Rater

EOS = 2
Responses = Sequence[Sequence[int]]


@dataclass(frozen=True)
class Told(Labeller):
    """An annotator that says what it is told: a number (and a cost) for each text."""

    gives = frozenset({"scores", "costs", "comparisons", "labels"})
    stored = False

    scores: dict[str, float] = field(default_factory=dict)
    costs: dict[str, float] = field(default_factory=dict)

    def judge(self, records: Sequence[Record], desk: Desk) -> Iterator[Verdict]:
        for record in records:
            texts = list(map(str, record.responses))
            costs = tuple(self.costs[text] for text in texts) if self.costs else None
            yield Verdict(tuple(self.scores[text] for text in texts), costs=costs)


@dataclass
class Scripted:
    """An engine that draws what is written down, one list for each prompt; ``asked`` is what it was shown."""

    answers: Sequence[Responses]
    logp: float = -1.0
    asked: list[Any] = field(default_factory=list)

    def __call__(
        self, policy: Policy, prompts: Sequence[Sequence[int]], draw: Draw, generator: torch.Generator
    ) -> Sampled:
        self.asked.append((list(prompts), draw))
        said = [[list(response) for response in self.answers[prompt[-1] - 11]] for prompt in prompts]
        ended = [[response[-1] == EOS for response in row] for row in said]
        return Sampled(said, [[[self.logp] * len(response) for response in row] for row in said], ended)


@cache
def model(seed: int = 3) -> Any:
    return Scratch(hidden=32, layers=2, heads=2, max_length=64).build(World().tokenizer(), seed=seed)


@cache
def composed(*overrides: str) -> Any:
    return build(assembled(overrides))


@dataclass
class Hand:
    """One training on written rollouts. ``moved``: the reference is another model than the policy."""

    overrides: tuple[str, ...]
    answers: Sequence[Responses]
    scores: Sequence[Sequence[float]]
    costs: Sequence[Sequence[float]] = ()
    moved: bool = False
    budget: int = 10_000
    steps: int = 1
    value: float = 0.0
    missing_eos: float = 0.0

    def __post_init__(self) -> None:
        table, price = by_text(self.answers, self.scores), by_text(self.answers, self.costs)
        parts = composed(*self.overrides)
        number = {len(row) for row in self.answers}
        sampling = dataclasses.replace(parts.sampling, responses=max(number), missing_eos=self.missing_eos)
        self.parts = dataclasses.replace(parts, annotator=Told(table, price), sampling=sampling)
        self.policy = Policy(copy.deepcopy(model()), World().tokenizer(), Scoring())
        reference = standing(model(4) if self.moved else copy.deepcopy(model()))
        host = reference if self.parts.reference.given else None
        critic = self.parts.critic.build(self.policy.model, 0)
        if critic is not None:
            for part in critic.parts.values():
                torch.nn.init.constant_(part.head.bias, self.value)
        self.engine = Scripted(self.answers)
        prompts = [prompt(b) for b in range(len(self.answers))]
        self.collector = Collector(
            self.parts, Prompts(prompts, [], spoken), self.policy, Desk(Path("unused")), engine=self.engine
        )
        schedule, arrow = self.parts.schedule, arrow_of(self.parts)
        self.module = OnPolicyModule(
            *(self.policy.model, arrow, self.policy.scoring, Prepared(host, Scoring(), "")),
            *(self.parts.optimizer, self.steps, critic),
        )
        collator = Collator(0, prompt_edges=arrow.prompt_edges)
        longest = max(len(response) for row in self.answers for response in row)
        costs = tuple(2 + longest * max(number) for _ in prompts)
        size = len(prompts) // schedule.minibatches
        self.plan = Plan(costs, Sizes(size, self.budget), schedule.epochs, schedule.minibatches)
        self.rater = Rater(self.module, self.collector, collator, self.plan)
        self.stream = RolloutStream(self.plan, self.steps, collator, self.rater)

    def experience(self) -> Experience:
        """Of the first rollout, in the order of the prompts."""
        rollout = self.rater(range(len(self.answers)), 0)
        assert rollout.experience is not None
        return rollout.experience

    def batches(self) -> list[Batch]:
        """Micro-batches as they are trained on; nothing is updated between them."""
        self.module.train()
        return list(self.stream)

    def loss(self) -> tuple[float, dict[str, Any]]:
        """Of one step: the sum of its micro-batches' shares, and their metrics."""
        from xpo.scored import Steps

        share, sums = 0.0, {}
        for batch in self.batches()[: self.plan.micro_batches]:
            found, metrics = self.module.evaluate(batch, Steps())
            share += float(found.detach())
            for name, (above, below) in metrics.items():
                had = sums.get(name, (0.0, 0.0))
                sums[name] = (had[0] + float(above), had[1] + float(below))
        return share, {name: above / below for name, (above, below) in sums.items() if below}


def prompt(b: int) -> Prompt:
    return Prompt((1, 11 + b), (1, 11 + b), Record(f"p{b}", (), where=f"prompts.jsonl:{b + 1}"))


def by_text(answers: Sequence[Responses], numbers: Sequence[Sequence[float]]) -> dict[str, float]:
    rows = zip(answers, numbers, strict=False)
    return {said(r): number for row, given in rows for r, number in zip(row, given, strict=True)}


def said(response: Sequence[int]) -> str:
    return " ".join(map(str, response))


def spoken(prompt: Prompt, responses: Responses) -> Record:
    return dataclasses.replace(prompt.record, responses=tuple(Spoken(said(r), r) for r in responses))


@torch.no_grad()
def logps(prompt: Sequence[int], response: Sequence[int], seed: int = 3) -> list[float]:
    """log p of each response token by the whole model's own logits."""
    ids = torch.tensor([*prompt, *response])
    table = model(seed)(input_ids=ids[None]).logits[0].double().log_softmax(-1)
    return [float(table[i - 1, ids[i]]) for i in range(len(prompt), len(ids))]


def rows_of(values: Tensor) -> list[list[list[float]]]:
    """Rounded, for comparison with what was worked out by hand."""
    return [[[round(float(v), 5) for v in response] for response in row] for row in values]


@contextmanager
def mutated(owner: Any, name: str, value: Any) -> Iterator[None]:
    """Broken in one way, for as long as it lasts."""
    was = owner.__dict__[name]
    setattr(owner, name, value)
    try:
        yield
    finally:
        setattr(owner, name, was)
