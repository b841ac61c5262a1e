"""The conversation: who answers, who rates it, what is answered then, and what is remembered."""

from __future__ import annotations

import contextlib
import dataclasses
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from xpo.annotator.base import LabelError
from xpo.data.prompts import Prompt
from xpo.data.record import Text
from xpo.errors import UserError
from xpo.judge.backend import Draw
from xpo.on_policy.answered import Answered
from xpo.scoring.prompts import prompt_embeddings
from xpo.society.begin import first_memories
from xpo.society.circle import peers_of, seated
from xpo.society.journal import Journal
from xpo.society.memory import Memory, Recollection, questions
from xpo.society.outcome import Outcome, outcomes
from xpo.society.rating import opinion
from xpo.society.summary import told_of
from xpo.society.texts import read_texts
from xpo.society.thread import Answer, Script, Thread
from xpo.society.voices import speaking

Memories = Sequence[Memory]


@dataclass(frozen=True)
class Society:
    """``society(prompts, draw, learns)`` is what its agents answer; the same draw and policy give the same.

    ``collector`` draws and has the observer annotate. ``journal`` is what was said before. ``first``: what
    each agent remembers before that.
    """

    collector: Any
    journal: Journal
    script: Script
    first: Sequence[Sequence[Recollection]]

    @classmethod
    def of(cls, collector: Any) -> Society:
        """That of a run, whose folder has its journal; without one to go on with a run begins anew."""
        option, policy, out = collector.parts.sampling, collector.policy, collector.desk.out
        path = None if out is None else out / "society.jsonl"
        if path is not None and collector.parts.trainer.resume != "auto":
            path.unlink(missing_ok=True)
        window = int(policy.model.config.get_text_config().max_position_embeddings)
        most = window - option.max_new_tokens
        script = Script(read_texts(option.template), policy.tokenizer, most, collector.count)
        return cls(collector, Journal(path), script, first_memories(option.memories, option.agents))

    def __call__(self, prompts: Sequence[Prompt], draw: str, learns: bool) -> list[Answered]:
        """``learns`` False: what is said is not remembered, and stands in no journal."""
        option = self._option
        if learns:
            self.journal.begin(draw)
        memories = self.journal.memories(option.agents, option.memory, self.first)
        vectors = self._vectors([prompt.record.prompt for prompt in prompts], memories)
        size = max(1, option.agents // option.answering) if option.recalled else max(1, len(prompts))
        found: list[Outcome] = []
        with self._voice() as voice:
            for start in range(0, len(prompts), size):
                turn = Turn(self, f"{draw}/turn {start // size}", memories, vectors, voice)
                ended = turn.outcomes(prompts[start : start + size])
                if learns:
                    self._learn(ended, memories)
                found += ended
        if learns:
            self.collector.told = told_of(found, self.collector)
        return [outcome.answered for outcome in found]

    def _learn(self, ended: Sequence[Outcome], memories: Memories) -> None:
        """All of a turn at once: what is said in it is recalled in the next one."""
        lines = [line for outcome in ended for line in outcome.lines]
        for outcome in ended:
            for thread, one in zip(outcome.threads, outcome.learnt, strict=True):
                if one is not None:
                    memories[thread.agent].learn(one)
        self.journal.add(lines)

    def _vectors(self, asked: Sequence[Text], memories: Memories) -> dict[Text, Tensor]:
        """Of all that is asked and remembered, as the policy stands."""
        if not self._option.recalled or not asked:
            return {}
        texts = list(dict.fromkeys((*asked, *questions(memories))))
        window = self.script.most + self._option.max_new_tokens
        ids = [self.script.ids(text)[-window:] for text in texts]
        return dict(zip(texts, prompt_embeddings(self.collector.policy.model, ids), strict=True))

    def _voice(self) -> contextlib.AbstractContextManager[Any]:
        option, collector = self._option, self.collector
        if not option.peers:
            return contextlib.nullcontext()
        return speaking(option.peer_model, collector.policy, collector.desk, option.tokens)

    @property
    def _option(self) -> Any:
        return self.collector.parts.sampling


@dataclass(frozen=True)
class Turn:
    """Questions that are answered side by side: no agent hears of another's before the turn ends."""

    society: Society
    name: str
    memories: Memories
    vectors: dict[Text, Tensor]
    voice: Any

    def outcomes(self, prompts: Sequence[Prompt]) -> list[Outcome]:
        """Drafts, then so often as the option says what peers say and what is answered then."""
        option, script = self._option, self.society.script
        threads = self._threads(prompts)
        self._draw(threads, "draft", [script.draft(t, self._recalled(t.agent, t.question)) for t in threads])
        for number in range(option.revisions):
            self._hear(threads)
            self._draw(threads, f"revision {number}", [script.revise(thread) for thread in threads])
        if option.rates:
            self._hear(threads)
        return outcomes(self.society.collector, self.name, prompts, threads)

    def _threads(self, prompts: Sequence[Prompt]) -> list[Thread]:
        option, generator = self._option, self._generator()
        seats, number, near = seated(option.agents, generator), option.answering, option.circle == "near"
        found = []
        for place, prompt in enumerate(prompts):
            for agent in (seats[(place * number + one) % option.agents] for one in range(number)):
                peers = peers_of(agent, option.agents, option.peers, near, generator)
                found.append(Thread(place, prompt, agent, peers))
        return found

    def _draw(self, threads: Sequence[Thread], what: str, shown: Sequence[Sequence[int]]) -> None:
        """Each thread's next answer, behind what its agent is shown."""
        collector = self.society.collector
        asked = [
            dataclasses.replace(t.prompt, shown=tuple(ids)) for t, ids in zip(threads, shown, strict=True)
        ]
        with collector.clock("sample"):
            drawn = collector.drawn(asked, f"{self.name}/{what}", 1)
        rows = zip(threads, drawn.responses, drawn.logps, drawn.finished, strict=True)
        for thread, (ids,), (logps,), (finished,) in rows:
            (response,) = collector.prompts.said(thread.prompt, [ids]).responses
            text = response if isinstance(response, str) else response[-1].content
            thread.answers.append(Answer(ids, logps, finished, str(text)))

    def _hear(self, threads: Sequence[Thread]) -> None:
        """Peers' opinions of each thread's last answer."""
        option, script = self._option, self.society.script
        wanted = [(thread, peer) for thread in threads for peer in thread.peers]
        asked = [script.rate(t, peer, self._recalled(peer, t.question)) for t, peer in wanted]
        if not asked:
            return
        draw = Draw(option.max_critique_tokens, option.temperature, seed=self.society.collector.parts.seed)
        with self.society.collector.clock("rate"):
            said = self.voice.answers(asked, draw)
            for thread, peer in wanted:
                thread.answers[-1].opinions.append(opinion(peer, _next(said, thread)))

    def _recalled(self, agent: int, question: Text) -> list[Recollection]:
        option = self._option
        if not option.recalled:
            return []
        return self.memories[agent].recall(question, self.vectors, option.similarity, option.recalled)

    def _generator(self) -> torch.Generator:
        seed = self.society.collector.parts.seed
        return torch.Generator().manual_seed(zlib.crc32(f"{seed}/{self.name}/seats".encode()))

    @property
    def _option(self) -> Any:
        return self.society.collector.parts.sampling


def _next(said: Iterator[tuple[str, ...]], thread: Thread) -> str:
    try:
        return next(said)[0]
    except UserError as error:
        raise LabelError(f"{thread.prompt.record.where}: {error}") from error
