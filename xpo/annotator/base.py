"""What annotators that say something new about responses have in common: their desk, checks, a store."""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import json
import math
from abc import abstractmethod
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from xpo.annotator.store import Store
from xpo.data.record import Record
from xpo.errors import UserError
from xpo.run.progress import progress


class LabelError(UserError):
    """An annotator could not label a row, or said something that is no label."""


@dataclass(frozen=True)
class Desk:
    """What an annotator may use of its run.

    ``cache``: a folder that other runs share. ``out``: the run's own, None where nothing is run. ``policy``
    (a ``xpo.run.samples.Policy``): as the rows find it, given to annotators that declare ``needs_policy``.
    ``passing``: the responses are a rollout's, which nobody will ask about again: what was not ``bought`` is
    not stored, and no bar is shown. ``objection``: why a record, as it is labelled, cannot be trained on, or an empty text
    (``xpo.data.label.objection``).
    """

    cache: Path
    out: Path | None = None
    seed: int = 0
    policy: Any = None
    passing: bool = False
    objection: Callable[..., str] | None = None

    @classmethod
    def of(cls, composition: Any) -> Desk:
        """Where a composition is looked at and not run."""
        return cls(Path(composition.config["cache"]), seed=composition.seed)


@dataclass(frozen=True)
class Verdict:
    """What is said of one record's K responses: scores, or wins (K x K, P(i beats j)), or both; labels too.

    ``costs``: a positive one is unsafe; they stand beside the others. ``parts``: the ends (in characters) of
    each response's parts, and what each is worth. ``why`` is for a person who reads the store: a rationale, or
    what a judge answered.
    """

    scores: tuple[float, ...] | None = None
    wins: tuple[tuple[float, ...], ...] | None = None
    labels: tuple[bool, ...] | None = None
    costs: tuple[float, ...] | None = None
    parts: tuple[tuple[tuple[int, float], ...], ...] | None = None
    why: Any = None


class Labeller:
    """Replaces all labels of records by its own; ``judge`` is what a subclass adds.

    ``gives`` (of contracts.FEEDBACK): what its records can be trained with. ``quadratic``: it is asked about
    every pair of a record's responses, so that long lists cost too much. ``stored``: verdicts are kept by
    the content of prompt and responses, and never asked for again (those of rollouts where they are ``bought``). A verdict of the wrong type or length,
    or that is not finite, raises ``LabelError`` with the row at fault, and so does whatever ``judge`` raises.
    """

    needs: ClassVar[frozenset[str]] = frozenset()  # of what data provide
    gives: ClassVar[frozenset[str]]
    needs_policy: ClassVar[bool] = False
    stored: ClassVar[bool] = True
    first: ClassVar[bool] = False  # something is trained before it can label
    judges_parts: ClassVar[bool] = False  # verdicts say what parts of responses are worth
    bought: ClassVar[bool] = False  # a verdict costs money or many seconds
    quadratic: ClassVar[bool] = False
    label_model: ClassVar[Any] = None  # the xpo.gold.labels.LabelModel that draws its labels, if it is that

    @abstractmethod
    def judge(self, records: Sequence[Record], desk: Desk) -> Iterator[Verdict]:
        """One verdict for each record, in their order."""

    def fingerprint(self, desk: Desk) -> str:
        """Everything that a verdict depends on beside the record; hash weights, not paths."""
        return repr(self)

    def __call__(self, records: Sequence[Record], desk: Desk) -> list[Record]:
        stored = self.stored and (self.bought or not desk.passing)
        store = Store(self._path(desk)) if stored else None
        known = {} if store is None else {key: store.get(key) for key in map(content_key, records)}
        distinct = {content_key(r): r for r in records if known.get(content_key(r)) is None}
        fresh = self._fresh(list(distinct.values()), desk)
        for key, verdict in zip(distinct, fresh, strict=True):
            known[key] = dataclasses.asdict(verdict)
            if store is not None:
                store.put(key, known[key])
        return [labelled(record, _verdict(known[content_key(record)])) for record in records]

    def _fresh(self, records: Sequence[Record], desk: Desk) -> Iterator[Verdict]:
        """Verdicts of ``judge``, checked one by one, so that what was bought before an error is kept."""
        if not records:
            return
        found = self.judge(records, desk)
        with _no_bar() if desk.passing else progress(len(records), "labelling") as bar:
            for record in records:
                yield self._next(found, record)
                if bar is not None:
                    bar.advance()
        if next(found, None) is not None:
            raise LabelError(f"{type(self).__name__} gave more verdicts than the {len(records)} rows it got")

    def _next(self, found: Iterator[Verdict], record: Record) -> Verdict:
        name = type(self).__name__
        try:
            verdict = next(found)
            check(verdict, len(record.responses))
        except StopIteration:
            raise LabelError(f"{record.where}: {name} gave no verdict on this row") from None
        except UserError as error:
            raise LabelError(f"{record.where}: {error}") from error
        except Exception as error:  # somebody else's function or model: the run stops, and says where
            raise LabelError(f"{record.where}: {name} failed: {type(error).__name__}: {error}") from error
        return verdict

    def _path(self, desk: Desk) -> Path:
        digest = hashlib.sha256(self.fingerprint(desk).encode()).hexdigest()[:16]
        return desk.cache / "labels" / f"{type(self).__name__.lower()}-{digest}.jsonl"


@contextlib.contextmanager
def _no_bar() -> Iterator[None]:
    yield None


def content_key(record: Record) -> str:
    """A hash of the prompt and the responses in their order, whatever was said about them."""
    return hashlib.sha256(
        json.dumps([plain_text(text) for text in (record.prompt, *record.responses)]).encode()
    ).hexdigest()


def plain_text(text: Any) -> Any:
    """A text, or messages as [role, content], for JSON."""
    return text if isinstance(text, str) else [[message.role, message.content] for message in text]


def written_text(text: Any) -> str:
    """A text, or what the turns of messages say, one below the other."""
    return text if isinstance(text, str) else "\n".join(message.content for message in text)


def labelled(record: Record, verdict: Verdict) -> Record:
    """The record with these labels and no others; scores of a pairwise verdict are mean win rates."""
    scores = verdict.scores
    if scores is None and verdict.wins is not None:
        others = max(1, len(verdict.wins) - 1)
        scores = tuple((sum(row) - row[i]) / others for i, row in enumerate(verdict.wins))
    return dataclasses.replace(
        record,
        ranks=None,
        scores=scores,
        labels=verdict.labels,
        wins=verdict.wins,
        margins=None,
        costs=verdict.costs,
        parts=verdict.parts,
    )


def check(verdict: Any, size: int) -> None:
    """``LabelError`` for what is no verdict on so many responses."""
    if not isinstance(verdict, Verdict):
        raise LabelError(f"a verdict was expected, got {verdict!r:.80}")
    _check_sizes(verdict, size)
    for score in verdict.scores or ():
        _number(score, "a score")
    for _, worth in (part for parts in verdict.parts or () for part in parts):
        _number(worth, "what a part is worth")
    for cost in verdict.costs or ():
        _number(cost, "a cost")
    if any(not isinstance(label, bool) for label in verdict.labels or ()):
        raise LabelError(f"labels must be true or false, got {verdict.labels!r:.80}")
    if verdict.wins is not None:
        _check_wins(verdict.wins, size)


def _check_sizes(verdict: Verdict, size: int) -> None:
    told = {name: verdict.__dict__[name] for name in ("scores", "wins", "labels", "costs")}
    said = {name: values for name, values in told.items() if values is not None}
    if not said:
        raise LabelError("the verdict says nothing: it has no scores, wins, labels or costs")
    for name, values in said.items():
        if not isinstance(values, tuple) or len(values) != size:
            raise LabelError(f"{name} must be a tuple of {size}, one for each response, got {values!r:.80}")


def _check_wins(wins: tuple[tuple[float, ...], ...], size: int) -> None:
    for row in wins:
        if not isinstance(row, tuple) or len(row) != size:
            raise LabelError(f"wins must be {size} x {size}, got a row {row!r:.80}")
        for share in row:
            _number(share, "a probability of winning")
    for i in range(size):
        for j in range(i):
            if not (0 <= wins[i][j] <= 1 and math.isclose(wins[i][j] + wins[j][i], 1, abs_tol=1e-6)):
                raise LabelError(
                    f"wins[{i}][{j}] is {wins[i][j]} and wins[{j}][{i}] is {wins[j][i]}: they are "
                    "probabilities that sum to 1"
                )


def _number(value: Any, what: str) -> None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise LabelError(f"{what} must be a number, got {value!r:.80}")
    if not math.isfinite(value):
        raise LabelError(f"{what} must be finite, got {value}")


def _parts(stored: Any) -> tuple[tuple[tuple[int, float], ...], ...] | None:
    return None if stored is None else tuple(tuple((end, worth) for end, worth in row) for row in stored)


def _verdict(stored: Any) -> Verdict:
    """From JSON, where tuples are lists; what was stored before there were costs has none."""
    wins, costs = stored["wins"], stored.get("costs")
    return Verdict(
        scores=None if stored["scores"] is None else tuple(stored["scores"]),
        wins=None if wins is None else tuple(tuple(row) for row in wins),
        labels=None if stored["labels"] is None else tuple(stored["labels"]),
        costs=None if costs is None else tuple(costs),
        parts=_parts(stored.get("parts")),
        why=stored["why"],
    )
