"""What agents remember, and what of it a question brings back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from torch import Tensor

from xpo.data.record import Text


@dataclass(frozen=True)
class Recollection:
    """A question with the answer that an agent came to, and what others had said before that.

    The first two are its internal memory, the rest (``rating`` None: nobody's) the external one.
    """

    question: Text
    answer: str
    rating: float | None = None
    critiques: tuple[str, ...] = ()


@dataclass
class Memory:
    """Of one agent: the ``most`` questions that came last, each with what was learnt last."""

    most: int
    known: dict[Text, Recollection] = field(default_factory=dict)

    def learn(self, one: Recollection) -> None:
        self.known.pop(one.question, None)
        self.known[one.question] = one
        while len(self.known) > self.most:
            del self.known[next(iter(self.known))]

    def recall(
        self, question: Text, vectors: Mapping[Text, Tensor], similarity: float, number: int
    ) -> list[Recollection]:
        """At most ``number`` whose questions have at least this cosine with ``question``, nearest first.

        Of those that are equally near the one learnt last comes first.
        """
        recent = list(reversed(self.known.values()))
        near = [cosine(vectors[question], vectors[one.question]) for one in recent]
        order = sorted(range(len(recent)), key=lambda place: -near[place])
        return [recent[place] for place in order if near[place] >= similarity][:number]


def cosine(one: Tensor, other: Tensor) -> float:
    """Rounded, so that vectors that are the same but for rounding are equally near; 0 for no vector."""
    size = float(one.norm() * other.norm())
    return round(float(one @ other) / size, 9) if size else 0.0


def questions(memories: Sequence[Memory]) -> list[Text]:
    """All that anybody remembers, each once."""
    return list(dict.fromkeys(question for memory in memories for question in memory.known))
