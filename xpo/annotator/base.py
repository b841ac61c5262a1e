"""What annotators that say something new about responses have in common: their desk, and a store."""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import json
from abc import abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from xpo.annotator.store import Store
from xpo.annotator.verdict import LabelError, Verdict, check, of_stored
from xpo.data.record import Record
from xpo.errors import UserError
from xpo.run.progress import progress


@dataclass(frozen=True)
class Desk:
    """What an annotator may use of its run.

    ``cache``: a folder that other runs share. ``out``: the run's own, None where nothing is run. ``policy``
    (a ``xpo.run.samples.Policy``): as the rows find it, given to annotators that declare ``needs_policy``.
    ``passing``: the responses are a rollout's, which nobody will ask about again: what was not ``bought`` is
    not stored, and no bar is shown. ``draw`` names the rollout, where its records begin at ``first``: for
    labels that are drawn. ``objection``: why a record, as it is labelled, cannot be trained on, or an empty
    text (``xpo.data.label.objection``).
    """

    cache: Path
    out: Path | None = None
    seed: int = 0
    policy: Any = None
    passing: bool = False
    draw: str = ""
    first: int = 0
    objection: Callable[..., str] | None = None

    @classmethod
    def of(cls, composition: Any) -> Desk:
        """Where a composition is looked at and not run."""
        return cls(Path(composition.config["cache"]), seed=composition.seed)


class Labeller:
    """Replaces all labels of records by its own; ``judge`` is what a subclass adds.

    ``gives`` (of contracts.FEEDBACK): what its records can be trained with. ``quadratic``: it is asked about
    every pair of a record's responses, so that long lists cost too much. ``compares``: one alone is an error.
    ``stored``: verdicts are kept by the content of prompt and responses, and never asked for again (those of
    rollouts where they are ``bought``), unless what stands there is no verdict. A verdict of a wrong type or
    length, or that is not finite, raises ``LabelError`` with the row at fault, and so does whatever ``judge``
    raises.
    """

    needs: ClassVar[frozenset[str]] = frozenset()  # of what data provide
    gives: ClassVar[frozenset[str]]
    needs_policy: ClassVar[bool] = False
    stored: ClassVar[bool] = True
    first: ClassVar[bool] = False  # something is trained before it can label
    judges_parts: ClassVar[bool] = False  # verdicts say what parts of responses are worth
    cuts_scores: ClassVar[bool] = False  # a threshold of its own says which responses are good
    bought: ClassVar[bool] = False  # a verdict costs money or many seconds
    quadratic: ClassVar[bool] = False
    compares: ClassVar[bool] = False  # it says nothing of a response alone
    of_data: ClassVar[bool] = False  # what the data say of their own responses
    cut: ClassVar[str] = ""  # its key that says from where on a response is good
    label_model: ClassVar[Any] = None  # the xpo.gold.labels.LabelModel that draws its labels, if it is that

    @property
    def reads(self) -> Sequence[tuple[str, str]]:
        """Key and path of each saved model that it reads, which must be there when a run begins."""
        return ()

    def contradicts(self, one: Record, other: Record) -> bool:
        """Whether two rows with the same prompt cannot both be judged by."""
        return False

    @abstractmethod
    def judge(self, records: Sequence[Record], desk: Desk) -> Iterator[Verdict]:
        """One verdict for each record, in their order."""

    def fingerprint(self, desk: Desk) -> str:
        """Everything that a verdict depends on beside the record; hash weights, not paths."""
        return repr(self)

    def chance(self) -> Callable[[float], float] | None:
        """P(a response is good) from its score; None where scores say no more than which one is better."""
        return None

    def __call__(self, records: Sequence[Record], desk: Desk) -> list[Record]:
        stored = self.stored and (self.bought or not desk.passing)
        store = Store(self._path(desk)) if stored else None
        rows = {content_key(record): record for record in records}
        known = {} if store is None else _kept(store, rows)
        distinct = {key: record for key, record in rows.items() if key not in known}
        fresh = self._fresh(list(distinct.values()), desk)
        for key, verdict in zip(distinct, fresh, strict=True):
            known[key] = verdict
            if store is not None:
                store.put(key, dataclasses.asdict(verdict))
        return [labelled(record, known[content_key(record)]) for record in records]

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
            told = str(error).startswith(f"{record.where}: ")  # by what reads rows without an annotator, too
            raise LabelError(f"{'' if told else f'{record.where}: '}{error}") from error
        except (Exception, SystemExit) as error:  # somebody else's function or model: say where it stops
            raise LabelError(f"{record.where}: {name} failed: {type(error).__name__}: {error}") from error
        return verdict

    def _path(self, desk: Desk) -> Path:
        digest = hashlib.sha256(self.fingerprint(desk).encode()).hexdigest()[:16]
        return desk.cache / "labels" / f"{type(self).__name__.lower()}-{digest}.jsonl"


@contextlib.contextmanager
def _no_bar() -> Iterator[None]:
    yield None


def _kept(store: Store, rows: Mapping[str, Record]) -> dict[str, Verdict]:
    """What the store knows of rows; what stands there and is no verdict on its row is asked for anew."""
    found = {key: of_stored(store.get(key), len(record.responses)) for key, record in rows.items()}
    return {key: verdict for key, verdict in found.items() if verdict is not None}


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
