"""What a judge is asked: turns with holes, which are filled once."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from xpo.data.record import Message
from xpo.judge.backend import Conversation

_HOLE = re.compile(r"\{(\w+)\}")


def fill(text: str, values: Mapping[str, str]) -> str:
    """Every ``{name}`` replaced by its value, in one pass: what stands in a value is never filled."""
    return _HOLE.sub(lambda hole: values[hole[1]], text)


def holes(text: str) -> set[str]:
    """The names that ``fill`` needs."""
    return set(_HOLE.findall(text))


@dataclass(frozen=True)
class Template:
    """``ask``: turns that lead to the verdict. In two steps ``think`` leads to a rationale, and ``then``
    from it to the verdict; that is RLAIF's rationale, then score (Lee et al. 2023, arXiv 2309.00267,
    section 2) and Constitutional AI's chain of thought (Bai et al. 2022, arXiv 2212.08073, section 4.1).

    ``exemplars`` stand where ``{exemplars}`` does, one after another. A turn of the assistant at the end is
    gone on with. ``text`` is everything above, for a fingerprint.
    """

    ask: Conversation
    think: Conversation
    then: Conversation
    options: tuple[str, ...]
    exemplars: str
    text: str

    def question(self, values: Mapping[str, str]) -> Conversation:
        """What is asked in one step."""
        return self._filled(self.ask, values)

    def first(self, values: Mapping[str, str]) -> Conversation:
        """What is asked for a rationale."""
        return self._filled(self.think, values)

    def second(self, values: Mapping[str, str], rationale: str) -> Conversation:
        """What is asked after the rationale, which stands in the conversation as the model's own words."""
        said = Message("assistant", rationale)
        return joined((*self.first(values), said, *self._filled(self.then, values)))

    def _filled(self, turns: Conversation, values: Mapping[str, str]) -> Conversation:
        known = {**values, "exemplars": self.exemplars}
        return tuple(Message(turn.role, fill(turn.content, known)) for turn in turns)


def joined(turns: Sequence[Message]) -> Conversation:
    """Turns of one speaker that follow each other as one: what the model says goes on where it was begun."""
    found: list[Message] = []
    for turn in turns:
        if found and found[-1].role == turn.role:
            found[-1] = Message(turn.role, found[-1].content + turn.content)
        else:
            found.append(turn)
    return tuple(found)
