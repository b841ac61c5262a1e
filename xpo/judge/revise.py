"""Sample, critique, revise: responses made better by written principles, for imitation.

Constitutional AI's supervised part: Bai et al. 2022, arXiv 2212.08073, section 3.1.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import ClassVar, Protocol, runtime_checkable

from xpo.annotator.base import Desk
from xpo.data.record import Message, Text
from xpo.judge.ask import CHUNK, filling
from xpo.judge.backend import Backend, Draw
from xpo.judge.principles import Principle, drawn
from xpo.judge.template import Template
from xpo.judge.template_file import Kind
from xpo.judge.turns import spoken
from xpo.judge.windows import until_error

_FIRST = frozenset({"prompt", "response", "critique"})
KIND = Kind("revise", _FIRST | {"revision"}, _FIRST, then_must=frozenset({"revision"}))


@runtime_checkable
class Revising(Protocol):
    """An annotator with principles that ask for a critique and for a revision.

    ``revises_with``: which of its keys these read.
    """

    revises_with: ClassVar[frozenset[str]]

    def open(self, desk: Desk) -> AbstractContextManager[Backend]: ...
    def improving(self) -> list[Principle]: ...


@dataclass(frozen=True)
class Recipe:
    """``rounds`` of critique and revision, each under a principle drawn by ``seed`` and content."""

    rounds: int = 4
    max_new_tokens: int = 256
    temperature: float = 1.0
    seed: int = 0

    def __post_init__(self) -> None:
        for name in ("rounds", "max_new_tokens"):
            if self.__dict__[name] < 1:
                raise ValueError(f"{name} must be at least 1, got {self.__dict__[name]}")
        if not 0 <= self.temperature < math.inf:
            raise ValueError(f"temperature must be 0 or more and finite, got {self.temperature}")

    @property
    def draw(self) -> Draw:
        return Draw(self.max_new_tokens, self.temperature, seed=self.seed)


@dataclass(frozen=True)
class Step:
    """One round."""

    principle: Principle
    critique: str
    revision: str


@dataclass
class Revised:
    """A response and what became of it; ``last`` is None where the model gave an empty revision."""

    prompt: Text
    first: Text
    steps: list[Step] = field(default_factory=list)

    @property
    def last(self) -> str | None:
        return (self.steps[-1].revision if self.steps else spoken(self.first)) or None


def revise(
    backend: Backend,
    template: Template,
    principles: Sequence[Principle],
    responses: Sequence[tuple[Text, Text]],
    recipe: Recipe,
) -> Iterator[Revised]:
    """(prompt, response) pairs, in order. A revision is what the next round criticises.

    An empty revision ends a response's rounds. Whatever the backend raises comes at its response's turn.
    """
    for start in range(0, len(responses), CHUNK):
        chunk = [Revised(prompt, response) for prompt, response in responses[start : start + CHUNK]]
        error: Exception | None = None
        for number in range(recipe.rounds):
            chunk, failed = _round(backend, template, principles, chunk, recipe, number)
            error = failed or error  # a later one belongs to an earlier response
        yield from chunk
        if error is not None:
            raise error


def sampled(backend: Backend, prompts: Sequence[Text], draw: Draw) -> Iterator[str]:
    """What the model itself answers, without white space around it."""
    asked = [(Message("user", text.strip()),) if isinstance(text, str) else text for text in prompts]
    return (answers[0].strip() for answers in backend.answers(asked, draw))


def _round(
    backend: Backend,
    template: Template,
    principles: Sequence[Principle],
    chunk: list[Revised],
    recipe: Recipe,
    number: int,
) -> tuple[list[Revised], Exception | None]:
    """Critique and revise what is not empty; those before the first error, and the error."""
    open_ones = [one for one in chunk if one.last is not None]
    chosen = [drawn(principles, recipe.seed, number, spoken(r.prompt), spoken(r.first)) for r in open_ones]
    cases = [
        {**filling(r.prompt, r.last or ""), "critique": one.critique, "revision": one.revision}
        for r, one in zip(open_ones, chosen, strict=True)
    ]
    critiques, error = until_error(
        said[0].strip() for said in backend.answers([template.first(case) for case in cases], recipe.draw)
    )
    asked = [template.second(case, text) for case, text in zip(cases, critiques, strict=False)]
    revisions, later = until_error(said[0].strip() for said in backend.answers(asked, recipe.draw))
    for one, principle, critique, revision in zip(open_ones, chosen, critiques, revisions, strict=False):
        one.steps.append(Step(principle, critique, revision))
    if later is None and error is None:
        return chunk, None
    end = next(i for i, one in enumerate(chunk) if one is open_ones[len(revisions)])
    return chunk[:end], later or error
