"""Revisions of a data set's responses: kept as they come, and written as demonstrations."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from xpo.annotator.base import LabelError, plain_text
from xpo.annotator.store import Store
from xpo.data.record import Message, Record, Text
from xpo.errors import UserError
from xpo.judge.ask import CHUNK
from xpo.judge.backend import Backend
from xpo.judge.errors import TooLong
from xpo.judge.principles import Principle
from xpo.judge.revise import Recipe, Revised, revise, sampled
from xpo.judge.template import Template
from xpo.judge.turns import spoken
from xpo.judge.windows import until_error
from xpo.run.progress import progress


@dataclass(frozen=True)
class Item:
    """What is revised: a response of the data, or (None) the model's own answer to the prompt."""

    prompt: Text
    response: Text | None
    lead: str  # white space that the data's responses begin with, which the prompt may lack
    where: str

    @property
    def bare(self) -> Text:
        """The shortest response of its kind."""
        return "." if isinstance(self.prompt, str) else (Message("assistant", "."),)

    @property
    def key(self) -> str:
        """By content."""
        response = None if self.response is None else plain_text(self.response)
        return hashlib.sha256(json.dumps([plain_text(self.prompt), response]).encode()).hexdigest()

    def demonstration(self, last: str | None) -> dict[str, Any] | None:
        """A row for imitation; None where there is nothing to imitate."""
        if last is None:
            return None
        if isinstance(self.prompt, str):
            return {"prompt": self.prompt, "completion": self.lead + last}
        turns = [{"role": turn.role, "content": turn.content} for turn in self.prompt]
        return {"prompt": turns, "completion": last}


@dataclass(frozen=True)
class Reviser:
    """Everything that a revision depends on beside the response."""

    backend: Backend
    template: Template
    principles: Sequence[Principle]
    recipe: Recipe

    @property
    def fingerprint(self) -> str:
        """Who is asked, and how."""
        return repr((self.backend.fingerprint, self.template.text, list(self.principles), self.recipe))


def items(records: Sequence[Record], own: bool) -> list[Item]:
    """Each distinct response, or with ``own`` each distinct prompt, whether it has a response or not."""
    found: dict[str, Item] = {}
    for record in records:
        for response in (*record.responses, "")[:1] if own else record.responses:
            item = Item(record.prompt, None if own else response, _lead(response), record.where)
            found.setdefault(item.key, item)
    return list(found.values())


def revised(reviser: Reviser, wanted: Sequence[Item], store: Store, drop: bool) -> dict[str, str | None]:
    """The last revision of each item by key, None where it is empty; what the store knows is not asked again.

    ``drop``: an item that the model's window does not hold has none. Whatever else the model's backend
    raises becomes ``LabelError`` with the row at fault.
    """
    todo = [item for item in wanted if not _whole(store.get(item.key))]
    long: set[str] = set()
    found = _fresh(reviser, todo)
    with progress(len(todo), "revising") as bar:
        for place, item in enumerate(todo):
            try:
                one = next(found)
            except TooLong as error:
                if not drop:
                    hint = "data.on_long_row=drop leaves such rows out"
                    raise LabelError(f"{item.where}: {error}; {hint}") from error
                long.add(item.key)
                found = _fresh(reviser, todo[place + 1 :])
            except UserError as error:
                raise LabelError(f"{item.where}: {error}") from error
            else:
                steps = [asdict(step) for step in one.steps]
                store.put(item.key, {"first": plain_text(one.first), "last": one.last, "steps": steps})
            bar.advance()
    known = {item.key: store.get(item.key) for item in wanted if item.key not in long}
    return {key: value["last"] for key, value in known.items() if value is not None}


def _whole(stored: Any) -> bool:
    """Whether this is what is stored of a revision, and not a damaged entry."""
    return isinstance(stored, dict) and isinstance(stored.get("last", 0), str | None)


def _fresh(reviser: Reviser, todo: Sequence[Item]) -> Iterator[Revised]:
    for start in range(0, len(todo), CHUNK):
        chunk = todo[start : start + CHUNK]
        firsts, error = _firsts(reviser, chunk)
        pairs = [(item.prompt, first) for item, first in zip(chunk, firsts, strict=False)]
        yield from revise(reviser.backend, reviser.template, reviser.principles, pairs, reviser.recipe)
        if error is not None:
            raise error


def _firsts(reviser: Reviser, chunk: Sequence[Item]) -> tuple[list[Text], Exception | None]:
    given: list[Text] = [item.response for item in chunk if item.response is not None]
    if given:
        return given, None
    said, error = until_error(sampled(reviser.backend, [item.prompt for item in chunk], reviser.recipe.draw))
    return list(said), error


def _lead(response: Text) -> str:
    text = response if isinstance(response, str) else spoken(response)
    return text[: len(text) - len(text.lstrip())]
