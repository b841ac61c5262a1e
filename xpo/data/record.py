"""What stands between a file and a tokenised row: records (as labelled) and examples (as trained on)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol, runtime_checkable

from xpo.data.counts import Counts


@dataclass(frozen=True)
class Message:
    """One turn of a conversation."""

    role: str
    content: str


Text = str | tuple[Message, ...]
"""Plain text, or messages that go through the tokenizer's chat template."""


@dataclass(frozen=True)
class Step:
    """A part of a response up to the character ``end`` (exclusive): right (1), neutral (0) or wrong (-1).

    ``label`` is None where nobody said it.
    """

    end: int
    label: int | None = None


@dataclass(frozen=True)
class Span:
    """An error of some type in a response's characters from ``start`` to ``end`` (exclusive)."""

    type: str
    start: int
    end: int


@dataclass(frozen=True)
class Record:
    """One prompt, its K responses and what somebody said about them; nothing is chosen or dropped yet.

    ``ranks`` (0 is best, equal ranks are ties), ``scores`` (higher is better), ``labels`` (True is good; a
    number between 0 and 1: that much of it), ``wins`` (K x K, P(i beats j)), ``margins`` (K x K, how much
    better i is than j, negative where it is worse) and ``costs`` (positive is unsafe) are each None where
    nobody said it. ``answer`` is the right answer, for rules that compare with it; ``models`` says which
    system wrote each response. ``steps`` are the parts of each response in order, ``spans`` the errors in
    each, None where nobody looked. ``whole``: the responses are beginnings of this one. ``parts``: the ends
    of each response's parts, in characters, and what each is worth. ``rivals``: 1 for a sample of another
    player than the policy, else 0. ``where`` is "file:line".
    """

    prompt: Text
    responses: tuple[Text, ...]
    ranks: tuple[int, ...] | None = None
    scores: tuple[float, ...] | None = None
    labels: tuple[float, ...] | None = None
    wins: tuple[tuple[float, ...], ...] | None = None
    margins: tuple[tuple[float, ...], ...] | None = None
    costs: tuple[float, ...] | None = None
    answer: str | None = None
    models: tuple[str, ...] | None = None
    steps: tuple[tuple[Step, ...] | None, ...] | None = None
    spans: tuple[tuple[Span, ...] | None, ...] | None = None
    whole: Text | None = None
    parts: tuple[tuple[tuple[int, float], ...], ...] | None = None
    rivals: tuple[float, ...] | None = None
    where: str = ""

    @property
    def labelled(self) -> bool:
        """Whether anybody said which response is better, or how good one is."""
        return any(said is not None for said in (self.ranks, self.scores, self.labels, self.wins))

    @property
    def merit(self) -> tuple[float, ...] | None:
        """One number per response, higher is better, for ordering only: minus the rank, else the score."""
        if self.ranks is None:
            return self.scores
        return tuple(-float(rank) for rank in self.ranks)


@dataclass(frozen=True)
class Example:
    """A training row before tokenisation; the masses are those of ``contracts.Row``.

    ``whole``: the responses are beginnings of this one, cut where its tokens end.
    """

    prompt: Text
    responses: tuple[Text, ...]
    prefer: tuple[tuple[float, ...], ...] | None = None
    good: tuple[float, ...] | None = None
    bad: tuple[float, ...] | None = None
    demo: tuple[float, ...] | None = None
    scores: tuple[float, ...] | None = None
    wins: tuple[tuple[float, ...], ...] | None = None
    margins: tuple[tuple[float, ...], ...] | None = None
    costs: tuple[float, ...] | None = None
    rivals: tuple[float, ...] | None = None
    whole: Text | None = None
    weight: float = 1.0
    where: str = ""


@dataclass(frozen=True)
class Splits:
    """What a data option reads. ``given`` says that the demonstrations have a file of their own.

    ``pretraining``: comparisons of other data, for a stage before the run's own.
    """

    train: list[Record]
    test: list[Record]
    demonstrations: list[Record]
    counts: dict[str, Counts]
    given: bool = False
    pretraining: tuple[Record, ...] = ()


@runtime_checkable
class Annotator(Protocol):
    """Axis 7: records whose labels may be missing -> records with labels.

    ``needs``: what the data must provide. ``gives`` (of contracts.FEEDBACK): what labels it can give.
    ``needs_policy``: the desk must hold the policy that the rows are for (``xpo.annotator.base.Desk``).
    ``quadratic``: it asks about every pair of a record's responses. ``compares``: one alone is an error.
    ``label_model`` (it may be a
    property): the exact model that its labels are drawn from (``xpo.gold.labels.LabelModel``), None for all
    but the gold world's own.
    ``fingerprint``: all that labels depend on beside the record.
    """

    needs: ClassVar[frozenset[str]]
    gives: ClassVar[frozenset[str]]
    needs_policy: ClassVar[bool]
    quadratic: ClassVar[bool]
    compares: ClassVar[bool]

    def fingerprint(self, desk: Any) -> str: ...

    def __call__(self, records: Sequence[Record], desk: Any = None) -> list[Record]: ...


@runtime_checkable
class Feedback(Protocol):
    """Axis 5: a record -> an example over the same K responses, best first, with its masses filled.

    What cannot be used is dropped through ``counts.drop(reason)``. ``gives`` (of contracts.FEEDBACK)
    is what an example can carry if the record does. ``in_expectation``: of what the gold world's population
    mode knows the expectation, so that nothing has to be drawn. ``contrasts``: demonstrations stand against
    the model's own samples, so that no annotator labels them. ``soft_masses``: comparisons are probabilities
    of winning. ``splits_ties``: a tie is half a comparison for each side. ``labels_from_pairs``: good and bad
    are the two sides of comparisons, no verdicts on single responses. These three may be properties.
    """

    gives: ClassVar[frozenset[str]]
    in_expectation: ClassVar[frozenset[str]]
    contrasts: ClassVar[bool]

    def __call__(self, records: Sequence[Record], counts: Counts) -> list[Example]: ...


@runtime_checkable
class Arity(Protocol):
    """Axis 6: an example of any K -> examples of the K that this arity trains on.

    ``keeps`` (of contracts.FEEDBACK) survives the cut; ``sizes`` is the smallest and the largest K of a
    row, None for any.
    """

    keeps: ClassVar[frozenset[str]]
    sizes: ClassVar[tuple[int, int | None]]

    def __call__(self, examples: Sequence[Example], counts: Counts) -> list[Example]: ...
