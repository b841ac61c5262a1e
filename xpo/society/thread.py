"""One agent's answers to one prompt, and what it and its peers are shown of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from xpo.data.prompts import Prompt
from xpo.data.record import Example, Message, Text
from xpo.data.render import rendered
from xpo.data.tokenize import ids_of
from xpo.judge.backend import Conversation
from xpo.judge.errors import TooLong
from xpo.judge.template import fill
from xpo.judge.turns import harmless, spoken
from xpo.society.memory import Recollection
from xpo.society.rating import Opinion, mean, worst_last
from xpo.society.texts import Texts, told

UNRATED = "(no number)"


@dataclass
class Answer:
    """As it was drawn, as text, and what peers say of it."""

    ids: list[int]
    logps: list[float]
    finished: bool
    text: str
    opinions: list[Opinion] = field(default_factory=list)


@dataclass
class Thread:
    """``place`` is the prompt's among those of its turn; ``answers`` are the draft, then revisions."""

    place: int
    prompt: Prompt
    agent: int
    peers: list[int]
    answers: list[Answer] = field(default_factory=list)

    @property
    def question(self) -> Text:
        return self.prompt.record.prompt


@dataclass(frozen=True)
class Script:
    """What is shown, as tokens or as a conversation. ``most``: tokens before an answer, which has room then.

    ``left_out`` counts memories and critiques that had no room.
    """

    texts: Texts
    tokenizer: Any
    most: int
    left_out: Callable[[str, int], None]

    def draft(self, thread: Thread, recalled: Sequence[Recollection]) -> tuple[int, ...]:
        """The prompt as it is where nothing is recalled."""
        for count in range(len(recalled), 0, -1):
            about = {"agent": str(thread.agent + 1), "memories": self._memories(recalled[:count])}
            ids = self.ids(told(thread.question, self.texts.draft, about))
            if len(ids) <= self.most:
                self.left_out("memories without room", len(recalled) - count)
                return ids
        self.left_out("memories without room", len(recalled))
        return thread.prompt.shown

    def revise(self, thread: Thread) -> tuple[int, ...]:
        """``TooLong`` where question and answer have no room, whatever is left out of the critiques."""
        size = 0
        for place, critiques in self._fewer(worst_last(thread.answers[-1].opinions)):
            ids = self.ids(self._request(thread, critiques))
            size = len(ids)
            if size <= self.most:
                self.left_out("critiques without room", place)
                return ids
        raise TooLong(
            f"{thread.prompt.record.where}: what the agent is shown of its answer has {size} tokens, and "
            f"there is room for {self.most} before the next one: shorten the prompt "
            "(data.max_prompt_length), sampling.max_new_tokens or the template, or take a model with a "
            "longer window"
        )

    def rate(self, thread: Thread, peer: int, recalled: Sequence[Recollection]) -> Conversation:
        """What a peer is asked of the last answer."""
        about = {
            "agent": str(peer + 1),
            "center": str(thread.agent + 1),
            "memories": self._memories(recalled),
            "prompt": spoken(thread.question),
            "response": thread.answers[-1].text.strip(),
        }
        return (Message("user", fill(self.texts.rate, about)),)

    def ids(self, text: Text) -> tuple[int, ...]:
        """The text up to the answer, as tokens."""
        return tuple(ids_of(rendered(Example(text, ()), self.tokenizer)[0], self.tokenizer))

    def _fewer(self, opinions: Sequence[Opinion]) -> Iterator[tuple[int, Sequence[Opinion]]]:
        """All critiques, then without the kindest, and so on."""
        said = [one for one in opinions if one.critique]
        return ((place, said[place:]) for place in range(len(said) + 1))

    def _request(self, thread: Thread, opinions: Sequence[Opinion]) -> Text:
        answer = thread.answers[-1]
        critiques = (
            fill(self.texts.critique, {"critique": self._safe(one.critique), "rating": _number(one.rating)})
            for one in opinions
        )
        about = {
            "agent": str(thread.agent + 1),
            "question": self._safe(spoken(thread.question)),
            "response": self._safe(answer.text.strip()),
            "rating": _number(mean(answer.opinions)),
            "critiques": "".join(critiques),
        }
        return told(thread.question, self.texts.revise if thread.peers else self.texts.again, about)

    def _memories(self, recalled: Sequence[Recollection]) -> str:
        """The nearest stands last, next to the question."""
        found = []
        for one in reversed(recalled):
            question = self._safe(spoken(one.question))
            found.append(
                fill(self.texts.memory, {"question": question, "answer": self._safe(one.answer.strip())})
            )
            if one.critiques:
                said = "".join(
                    fill(self.texts.critique, {"critique": self._safe(text), "rating": _number(one.rating)})
                    for text in one.critiques
                )
                about = {"question": question, "rating": _number(one.rating), "critiques": said}
                found.append(fill(self.texts.heard, about))
        return "".join(found)

    def _safe(self, text: str) -> str:
        """What somebody said cannot make special tokens."""
        return harmless(text, self.tokenizer)


def _number(rating: float | None) -> str:
    return UNRATED if rating is None else f"{rating:.2f}".rstrip("0").rstrip(".")
