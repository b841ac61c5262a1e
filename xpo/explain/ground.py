"""What a step stands on before the method that trains comes in: a policy, and rows or answers."""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch

from xpo.annotator.base import Desk
from xpo.data.prompts import Prompts
from xpo.explain.watched import Memory
from xpo.on_policy.answered import Answered
from xpo.on_policy.collect import Collector
from xpo.scoring.path import choose_path
from xpo.scoring.score import Scoring
from xpo.stages.opening import window
from xpo.stages.sampler import drawing, tempered
from xpo.stages.source import Policy, Rows, Source
from xpo.stages.weights import weighed

if TYPE_CHECKING:
    from xpo.compose.composition import Composition

DRIFT = 0.02  # standard deviation of what stands in for training, per weight
PROMPTS = 8


@dataclass(frozen=True)
class Ground:
    """Rows that are given, or prompts and their answers; ``start`` is the policy as alignment finds it."""

    start: Policy
    rows: Rows | None = None
    prompts: Prompts | None = None
    answers: Sequence[Answered] = ()

    def copied(self) -> Policy:
        """The policy, to be trained."""
        return dataclasses.replace(self.start, model=copy.deepcopy(self.start.model))


def ground(c: Composition) -> Ground:
    """The same for all compositions that agree in what is read here: made once. Not to be changed."""
    return _GROUNDS(c)


def _made(c: Composition) -> Ground:
    source = c.data.open(c, Desk.of(c))
    start = _policy(c, source)
    source.tokenize(start.tokenizer, window(start.model))
    if c.objective.policy_gradient:
        start = tempered(start, c.sampling.temperature)
    if c.sampling.samples and not source.renews:
        return _answered(c, source, start)
    return Ground(start, weighed(c, start, source.rows(start, c.needs))[0])


def _policy(c: Composition, source: Source) -> Policy:
    """The model that these texts are given to, made once."""
    told = repr((c.data, c.model, c.adapter, c.seed, tuple(source.texts())))
    if told not in _POLICIES:
        loaded = c.model.load(seed=c.seed, texts=source.texts, tokenizer=source.tokenizer)
        model = c.adapter.apply(loaded.model, c.seed)
        if c.adapter.adapts:
            drift(model)
        scoring = Scoring(path=choose_path(loaded.model)[0], support=source.support)
        _POLICIES[told] = Policy(model, loaded.tokenizer, scoring, trained=True)
    return _POLICIES[told]


_POLICIES: dict[str, Policy] = {}


def demonstrations(c: Composition) -> Rows:
    """Of the same data, to imitate beside samples."""
    source = c.data.open(c, Desk.of(c))
    start = _policy(c, source)
    source.tokenize(start.tokenizer, window(start.model))
    return source.demonstrations()


def _answered(c: Composition, source: Source, start: Policy) -> Ground:
    """With answers of the policy, which has drifted where it is trained within a rollout."""
    known = source.prompts(start, c.sampling)
    known = dataclasses.replace(known, train=known.train[:PROMPTS], test=())
    ground = Ground(start, prompts=known)
    reference = c.reference.prepare(start.model, start.scoring, start.tokenizer)
    policy = start
    if c.objective.policy_gradient:
        policy = ground.copied()
        drift(policy.model)
    collector = collector_of(c, known, policy)
    drawing(collector, reference)
    if c.objective.policy_gradient:
        answers = collector.rollout(range(len(known.train)), 0)
    else:
        answers = collector.answers(known.train, "round 1", c.sampling.responses)
    return dataclasses.replace(ground, answers=answers)


_GROUNDS = Memory(_made)


def collector_of(c: Composition, prompts: Prompts, policy: Policy) -> Collector:
    """Who has responses to these prompts drawn and annotated."""
    desk = dataclasses.replace(Desk.of(c), passing=c.schedule.online)
    return Collector(c, prompts, tempered(policy, c.sampling.temperature), desk)


def drift(policy: Any) -> None:
    """Move the weights, as training would."""
    random = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for weight in policy.parameters():
            if weight.requires_grad:
                weight += DRIFT * torch.randn(weight.shape, generator=random)
