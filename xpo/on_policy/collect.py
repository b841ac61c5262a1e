"""Sample and annotate: prompts to rows of responses that the policy has just given."""

from __future__ import annotations

import dataclasses
import time
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch

from xpo.annotator.base import Desk
from xpo.data.beside import judged
from xpo.data.prompts import Prompt, Prompts
from xpo.data.record import Record
from xpo.on_policy.answered import Answered
from xpo.on_policy.chosen import Choose, chosen
from xpo.on_policy.values import values, won
from xpo.run.ranks import distributed, rank, rows_from_all_ranks
from xpo.run.samples import Policy
from xpo.sampler.base import seeds


@dataclass
class Clock:
    """Seconds of each phase since they were last taken."""

    seconds: dict[str, float] = field(default_factory=dict)

    @contextmanager
    def __call__(self, phase: str) -> Iterator[None]:
        begin = time.monotonic()
        try:
            yield
        finally:
            self.seconds[phase] = self.seconds.get(phase, 0.0) + time.monotonic() - begin

    def take(self) -> dict[str, float]:
        """The seconds, which then begin anew."""
        taken, self.seconds = self.seconds, {}
        return taken


@dataclass
class Collector:
    """Draws responses to prompts and has them annotated; every rank gets the rows of all.

    ``parts`` is the composition, ``engine`` who draws, ``rival`` who draws responses of another
    player. ``counts`` tells what was sampled and left, ``told`` how a ``society`` fared that answers in the
    place of the policy alone (``sampling.converses``).
    """

    parts: Any
    prompts: Prompts
    policy: Policy
    desk: Desk
    ranks: int = 1
    engine: Any = None
    rival: Any = None
    clock: Clock = field(default_factory=Clock)
    counts: dict[str, int] = field(default_factory=dict)
    told: dict[str, float] = field(default_factory=dict)
    society: Any = None

    def rollout(self, indices: Sequence[int], number: int, again: int = 0) -> list[Answered]:
        """Responses to these prompts; prompts whose responses are all alike make way for others.

        ``again``: others are asked in their place, for the so manieth time.
        """
        option = self.parts.sampling
        self.renew()
        asked = [self.prompts.train[i] for i in indices]
        if again:
            asked = self._others(len(asked), f"{number}*{again}")
        found = self.answers(asked, f"{number}*{again}" if again else f"{number}", option.responses)
        if not option.resample:
            return found
        return self._telling(found, number, option)

    def _telling(self, found: list[Answered], number: int, option: Any) -> list[Answered]:
        """Answers that differ in what they are worth first, as many as there were."""
        wanted, kept = len(found), [answer for answer in found if not self._alike(answer)]
        tries = 0
        while len(kept) < wanted and tries < option.resample:
            tries += 1
            draw = f"{number}+{tries}"
            found = self.answers(self._others(wanted, draw), draw, option.responses)
            kept += [answer for answer in found if not self._alike(answer)]
        self.count("prompts drawn again", tries * wanted)
        if len(kept) < wanted:
            self.count("rollouts at the cap", 1)
            kept += [answer for answer in found if self._alike(answer)]
        return kept[:wanted]

    def _alike(self, answer: Answered) -> bool:
        """Whether there is nothing to tell a prompt's responses apart by."""
        merit = answer.values if self._reads_values else answer.record.merit
        return merit is not None and len(set(merit)) < 2

    def _others(self, number: int, draw: str) -> list[Prompt]:
        """Drawn prompts, as many as there are at most."""
        order = torch.randperm(len(self.prompts.train), generator=self._generator(draw))
        return [self.prompts.train[i] for i in order[:number].tolist()]

    def answers(
        self,
        prompts: Sequence[Prompt],
        draw: str,
        number: int,
        alone: bool = False,
        choose: Choose | None = None,
    ) -> list[Answered]:
        """``number`` responses to each prompt, annotated. The same ``draw`` and policy give the same ones.

        ``alone``: with nobody's beside them. ``choose``: which are annotated; others are left.
        """
        ranks = self.ranks if distributed() else 1  # before a training connects them each draws all
        place = rank() if ranks > 1 else 0
        if self.parts.sampling.converses and not alone:
            return self._conversed(prompts, draw, ranks > 1)
        first, end = (len(prompts) * at // ranks for at in (place, place + 1))
        with self.clock("sample"):
            drawn = self.drawn(prompts[first:end], draw, number, first)
            rivals = [] if alone else self._rivals(prompts[first:end], draw, first)
        asked = {
            place: (own, rivals[i] if rivals else [], () if alone else prompts[place].given)
            for i, (place, own) in enumerate(zip(range(first, end), drawn.responses, strict=True))
        }
        if choose is not None:
            asked = chosen(choose, prompts, asked, ranks > 1)
        with self.clock("annotate"):
            said = [self._said(prompts[place], *responses) for place, responses in asked.items()]
            desk = dataclasses.replace(self.desk, policy=self.policy, draw=draw, first=first)
            drawn = drawn.some([place - first for place in asked])
            found = self._annotated([prompts[place] for place in asked], drawn, said, desk)
        if ranks == 1:
            return found
        return rows_from_all_ranks(dict(zip(asked, found, strict=True)))

    def _conversed(self, prompts: Sequence[Prompt], draw: str, connected: bool) -> list[Answered]:
        """What a society answers, on one rank for all of them: what is said there is remembered."""
        if self.society is None:
            self.society = self.parts.sampling.gather(self)
        found = []
        if not connected or rank() == 0:
            found = self.society(prompts, draw, learns=prompts is not self.prompts.test)
        return rows_from_all_ranks(dict(enumerate(found))) if connected else found

    def renew(self) -> None:
        """Give an engine that keeps weights of its own those that the policy has now."""
        if self.parts.sampling.server_folder is not None:
            with self.clock("weights"):
                self.engine.update(self.policy)

    def drawn(self, prompts: Sequence[Prompt], draw: str, number: int, first: int = 0) -> Any:
        """``number`` responses to each prompt, annotated by nobody. ``first``: prompts that others draw for.

        A prompt's random numbers are its own, so that any number of ranks draws the same responses.
        """
        return self._draw(self.engine, prompts, draw, number, first)

    def _rivals(self, prompts: Sequence[Prompt], draw: str, first: int) -> list[list[list[int]]]:
        """What another player answers, where there is one."""
        number = self.parts.sampling.rivals
        if not number:
            return [[] for _ in prompts]
        return self._draw(self.rival, prompts, f"{draw}/rivals", number, first).responses

    def _draw(self, engine: Any, prompts: Sequence[Prompt], draw: str, number: int, first: int) -> Any:
        option, longest = self.parts.sampling.draw, self.prompts.longest
        most = option.max_new_tokens if longest is None else min(longest, option.max_new_tokens)
        option = dataclasses.replace(option, responses=number, max_new_tokens=most)
        generator = self._generator(draw)
        seeds(first, generator)
        return engine(self.policy, [prompt.shown for prompt in prompts], option, generator)

    def _annotated(
        self, prompts: Sequence[Prompt], drawn: Any, said: Sequence[Record], desk: Desk
    ) -> list[Answered]:
        if self.parts.feedback.contrasts:
            which = self.parts.sampling.given
            records = [judged(r, len(p.given), which) for p, r in zip(prompts, said, strict=True)]
        else:
            records = self.parts.annotator(said, desk)
        return self.answered(prompts, drawn, records)

    def answered(self, prompts: Sequence[Prompt], drawn: Any, records: Sequence[Record]) -> list[Answered]:
        """Of what was ``drawn`` for each prompt, and of the ``records`` of it, which are annotated."""
        found = []
        for i, (prompt, record) in enumerate(zip(prompts, records, strict=True)):
            responses, done = drawn.responses[i], drawn.finished[i]
            record = self._charged(record, done)
            worth = self._worth(record, len(responses))
            found.append(Answered(prompt, responses, drawn.logps[i], done, record, worth))
        return found

    def _said(
        self, prompt: Prompt, own: Sequence[Any], rivals: Sequence[Any], given: Sequence[Any]
    ) -> Record:
        """The policy's responses, then the rival's, then the data's."""
        record = self.prompts.said(prompt, [*own, *rivals, *given])
        if not rivals:
            return record
        marks = (0.0,) * len(own) + (1.0,) * len(rivals) + (0.0,) * len(given)
        return dataclasses.replace(record, rivals=marks)

    def _worth(self, record: Record, own: int) -> list[float]:
        """Of the policy's responses, the first ``own`` of a record."""
        if not self._reads_values:
            return [0.0] * own
        if self.parts.reward_form.reads == "wins" and self.parts.sampling.rivals:
            return won(record, own)
        return values(record, self.parts)[:own]

    @property
    def _reads_values(self) -> bool:
        return self.parts.objective.policy_gradient or self.parts.sampling.reads_values

    def _charged(self, record: Record, finished: Sequence[bool]) -> Record:
        """The record with scores of responses that do not end lowered."""
        price = self.parts.sampling.missing_eos
        if not price or record.scores is None:
            return record
        done = [*finished, *(True for _ in record.scores[len(finished) :])]  # others' responses end
        scores = tuple(s - price * (not end) for s, end in zip(record.scores, done, strict=True))
        return dataclasses.replace(record, scores=scores)

    def _generator(self, draw: str) -> torch.Generator:
        return torch.Generator().manual_seed(zlib.crc32(f"{self.parts.seed}/{draw}".encode()))

    def count(self, what: str, number: int) -> None:
        """Add to what the run's manifest tells of its rollouts."""
        self.counts[what] = self.counts.get(what, 0) + number
