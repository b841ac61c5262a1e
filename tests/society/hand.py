"""A society whose answers, opinions and observer are written down, through the real collector."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.judge.local_models import policy
from tests.judge.scripted import Scripted, text
from tests.on_policy.hand import composed
from xpo.annotator.base import Desk, Labeller, Verdict
from xpo.data.counts import Counts
from xpo.data.prompts import Prompts, prompts_of, said_in_text
from xpo.data.record import Record
from xpo.model.tokens import train_bpe
from xpo.on_policy.collect import Collector
from xpo.sampler.base import Draw, Sampled
from xpo.society import talk

TEXTS = """
memory: "[you: {question} > {answer}]"
heard: "[they: {rating}: {critiques}]"
draft: "{memories}{prompt}"
rate: "I am {agent}. {memories}{center} said to {prompt} this: {response}"
critique: "<{critique}>"
revise: "[{question} > {response}, {rating}, {critiques}]{prompt}"
again: "[{question} > {response}]{prompt}"
"""

Say = Callable[[str], str]


@cache
def tokenizer() -> Any:
    return train_bpe(["cats dogs 1 2 3 answer to draft better"] * 4, 290)


@dataclass(frozen=True)
class Observer(Labeller):
    """The number that an answer ends in."""

    gives = frozenset({"scores", "comparisons"})
    stored = False

    def judge(self, records: Sequence[Record], desk: Desk) -> Iterator[Verdict]:
        for record in records:
            yield Verdict(tuple(float(str(one).split()[-1]) for one in record.responses))


@dataclass
class Engine:
    """Says ``say(what it is shown)``; ``shown`` is all of it in order."""

    say: Say
    shown: list[str] = field(default_factory=list)

    def __call__(self, policy: Any, prompts: Sequence[Sequence[int]], draw: Draw, _: Any) -> Sampled:
        found = []
        for prompt in prompts:
            self.shown.append(policy.tokenizer.decode(prompt, skip_special_tokens=True))
            ids = policy.tokenizer.encode(self.say(self.shown[-1]), add_special_tokens=False)
            found.append([[*ids, policy.tokenizer.eos_token_id]])
        ones = [[[-1.0] * len(row[0])] for row in found]
        return Sampled(found, ones, [[True]] * len(found))


@dataclass
class Hand:
    """``draft`` and ``opinion`` say what agents and peers answer to what they are shown."""

    folder: Path
    patch: pytest.MonkeyPatch
    questions: Sequence[str]
    draft: Say
    opinion: Callable[[str], str]
    options: Sequence[str] = ()
    held_out: Sequence[str] = ()

    def __post_init__(self) -> None:
        template = self.folder / "texts.yaml"
        template.write_text(TEXTS)
        self.parts = _parts(str(template), *self.options)
        self.engine, self.voice = Engine(self.draft), Scripted(say=lambda one, _: self.opinion(text(one)))
        self.patch.setattr(talk, "speaking", lambda *_: contextlib.nullcontext(self.voice))
        self.patch.setattr(talk, "seated", lambda agents, _: list(range(agents)))
        self.patch.setattr(talk, "prompt_embeddings", self._vectors)
        self.collector = self.fresh()

    def fresh(self) -> Collector:
        """As another process finds things."""
        train, test = (self._prompts(questions) for questions in (self.questions, self.held_out))
        prompts = Prompts(train, test, said_in_text(tokenizer()))
        desk = Desk(self.folder / "cache", self.folder / "out")
        who = policy(tokenizer())
        return Collector(self.parts, prompts, who, desk, engine=self.engine)

    def _prompts(self, questions: Sequence[str]) -> Any:
        records = [Record(one, (), where=f"rows.jsonl:{line}") for line, one in enumerate(questions, 1)]
        return prompts_of(records, tokenizer(), self.parts.sampling, 60, Counts())

    def _vectors(self, model: Any, prompts: Sequence[Sequence[int]]) -> torch.Tensor:
        """By what a question is about: cats and dogs are at right angles."""
        texts = [tokenizer().decode(ids, skip_special_tokens=True) for ids in prompts]
        return torch.tensor(
            [[one.count("cats"), one.count("dogs"), 0.1] for one in texts], dtype=torch.float64
        )

    def round(self, number: int = 1) -> Any:
        """What is answered to all training prompts."""
        return self.collector.answers(self.collector.prompts.train, f"round {number}", 0)


@cache
def _parts(template: str, *options: str) -> Any:
    import dataclasses

    made = composed(
        *("algo=sandbox", "data=jsonl", "data.path=unread.jsonl", "annotator=rule"),
        *("annotator.rules=[{name: length, most: 5}]", "model=scratch", f"sampling.template={template}"),
        *("sampling.agents=3", "sampling.peers=2", "sampling.responses=2", "sampling.max_new_tokens=8"),
        *options,
    )
    return dataclasses.replace(made, annotator=Observer())


def member(words: str) -> int:
    """Who is asked."""
    found = re.search(r"I am (\d+)\.", words)
    assert found is not None
    return int(found[1])


def answered(words: str) -> str:
    """What it is asked about."""
    return words.rpartition("this: ")[2]
