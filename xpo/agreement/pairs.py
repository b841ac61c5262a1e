"""What an annotator and a row's own label say of the same two responses, asked in both orders."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations

from xpo.data.errors import DataError
from xpo.data.record import Record, Text

Ask = Callable[[list[Record]], list[Record]]
"""Records without labels -> the same with the annotator's."""

Chance = Callable[[float], float]


@dataclass(frozen=True)
class Pair:
    """Two responses to a prompt (a number). Outcomes are the first one's: 1 better, 1/2 tie, 0 worse.

    ``forward`` is the annotator's when the first stands first, ``backward`` when it stands after the other;
    ``chance`` are its probabilities for the same, where it gives any. ``longer``: 1 if the first one is.
    """

    prompt: int
    own: float
    forward: float
    backward: float
    longer: float
    chance: tuple[float, float] | None = None


@dataclass(frozen=True)
class Single:
    """One response, good (1) or bad (0): ``own`` by its label, ``found`` (None: unsaid) by the annotator.

    ``score`` is the annotator's, ``chance`` its probability that the response is good, where it gives any.
    """

    prompt: int
    own: float
    found: float | None = None
    score: float | None = None
    chance: float | None = None


@dataclass(frozen=True)
class Scored:
    """One response that has a score of its own: ``own``, and the annotator's."""

    prompt: int
    own: float
    score: float


@dataclass(frozen=True)
class Compared:
    """All that can be compared, and the rows that cannot, by reason."""

    pairs: list[Pair]
    singles: list[Single]
    left_out: dict[str, int]
    scored: tuple[Scored, ...] = ()


def compare(records: Sequence[Record], ask: Ask, chance: Chance | None = None) -> Compared:
    """Ask the annotator twice, the second time with all responses in reversed order; it sees no labels.

    ``chance`` makes P(good) of the annotator's scores, where they say it (``Labeller.chance``). Raises
    ``DataError`` if nothing is left to compare.
    """
    several = [r for r in records if len(r.responses) > 1 and (r.merit or r.wins)]
    single = [r for r in records if len(r.responses) == 1 and (r.labels or r.scores)]
    prompts = {prompt: i for i, prompt in enumerate(dict.fromkeys(record.prompt for record in records))}
    lost = len(records) - len(several) - len(single)
    if not several and not single:
        raise DataError(
            f"none of {len(records)} rows has a label to compare with: a comparison of several responses, "
            "whether one is good, or its score"
        )
    pairs: list[Pair] = []
    if several:
        found = ask([bare(record) for record in several])
        turned = ask([bare(record, turn=True) for record in several])
        for record, one, other in zip(several, found, turned, strict=True):
            pairs += _pairs(prompts[record.prompt], record, one, other)
    said = zip(single, ask([bare(record) for record in single]), strict=True) if single else ()
    alone = [_alone(prompts[record.prompt], record, found, chance) for record, found in said]
    return Compared(
        pairs,
        [one for one in alone if isinstance(one, Single)],
        {"rows without a label": lost} if lost else {},
        tuple(one for one in alone if isinstance(one, Scored)),
    )


def bare(record: Record, turn: bool = False) -> Record:
    """The record without what anybody said of it; with the last response first if it is turned."""
    step = -1 if turn else 1
    models = None if record.models is None else record.models[::step]
    return Record(
        record.prompt, record.responses[::step], answer=record.answer, models=models, where=record.where
    )


def _pairs(prompt: int, record: Record, found: Record, turned: Record) -> Iterator[Pair]:
    last = len(record.responses) - 1
    for i, j in combinations(range(last + 1), 2):
        own = outcome(record, i, j)
        one, other = outcome(found, i, j), outcome(turned, last - i, last - j)
        chance = None
        if found.wins is not None and turned.wins is not None:
            chance = found.wins[i][j], turned.wins[last - i][last - j]
        sizes = size(record.responses[i]), size(record.responses[j])
        yield Pair(prompt, own, one, other, _sign(*sizes), chance)


def outcome(record: Record, i: int, j: int) -> float:
    """Whether i is better than j: by ranks, else by who is likelier to win, else by scores."""
    if record.ranks is None and record.wins is not None:
        return _sign(record.wins[i][j], record.wins[j][i])
    merit = record.merit
    if merit is None:
        raise DataError(f"{record.where}: the annotator says nothing about which response is better")
    return _sign(merit[i], merit[j])


def size(text: Text) -> int:
    """Characters of a text, of all turns of messages."""
    return len(text) if isinstance(text, str) else sum(len(message.content) for message in text)


def _sign(one: float, other: float) -> float:
    return 0.5 * (1 + (one > other) - (one < other))


def _alone(prompt: int, record: Record, said: Record, chance: Chance | None) -> Single | Scored:
    score = None if said.scores is None else said.scores[0]
    if record.labels is None:
        if score is None:
            raise DataError(f"{record.where}: the annotator gives no score to compare with that of this row")
        assert record.scores is not None
        return Scored(prompt, record.scores[0], score)
    own, good = float(record.labels[0]), None if chance is None or score is None else chance(score)
    if said.labels is not None:
        return Single(prompt, own, float(said.labels[0]), score, good)
    if score is None:
        raise DataError(
            f"{record.where}: the annotator says nothing about a single response, which has a label in this "
            "row: take rows with several responses"
        )
    return Single(prompt, own, None if good is None else _sign(good, 0.5), score, good)
