"""Prompts to be answered, as tokens and as the records that their answers become."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from xpo.data.beside import equals, given_ids
from xpo.data.counts import Counts
from xpo.data.errors import DataError
from xpo.data.record import Example, Message, Record, Text
from xpo.data.render import rendered
from xpo.data.spoken import spoken
from xpo.data.tokenize import ids_of
from xpo.data.truncate import Limits


@dataclass(frozen=True)
class Prompt:
    """``ids`` is what responses are trained behind, ``shown`` what the policy sees when it answers.

    ``given`` are responses of the data that stand beside its answers."""

    ids: tuple[int, ...]
    shown: tuple[int, ...]
    record: Record
    given: tuple[tuple[int, ...], ...] = ()


@dataclass(frozen=True)
class Prompts:
    """Of a run. ``said`` makes a record of a prompt and its responses' token ids.

    ``exact`` makes who draws responses exactly, of another model and its weight beside the policy, where the
    data can; None: as the run's options say. ``longest``: tokens of a response, where the data bound them.
    """

    train: Sequence[Prompt]
    test: Sequence[Prompt]
    said: Callable[[Prompt, Sequence[Sequence[int]]], Record]
    exact: Callable[[Any, float], Any] | None = None
    longest: int | None = None


def prompts_of(
    records: Iterable[Record], tokenizer: Any, sampling: Any, longest: int, counts: Counts
) -> list[Prompt]:
    """Each prompt once, its start cut where it is longer than ``longest`` tokens; ``counts`` tells of both.

    Where ``sampling`` sets responses of the data beside samples: once with each of them.
    """
    found: list[Prompt] = []
    seen, template = set(), sampling.prompt_template
    for record in records:
        given = given_ids(record, sampling.given, tokenizer, sampling.max_new_tokens)
        if (record.prompt, given) in seen:
            counts.drop("prompt that came before")
            continue
        seen.add((record.prompt, given))
        counts.note(
            f"one of several equal responses taken as the {sampling.given}", equals(record, sampling.given)
        )
        bare = dataclasses.replace(
            record, responses=(), ranks=None, scores=None, labels=None, wins=None, margins=None,
            models=None, steps=None, spans=None,
        )  # fmt: skip
        ids = _ids(record.prompt, tokenizer)
        shown = ids if template is None else _ids(_wrapped(record.prompt, template), tokenizer)
        counts.note("start of the prompt cut", max(len(ids), len(shown)) > longest)
        found.append(Prompt(_end(ids, longest), _end(shown, longest), bare, given))
    counts.kept = len(found)
    return found


def room_of(limits: Limits, window: int, new: int) -> int:
    """Tokens that a prompt may have before ``new`` more; raises ``DataError`` where too few would stay."""
    whole = limits.max_length or window
    longest = limits.max_prompt_length or whole
    room = min(whole - new, longest)
    if room < min(limits.min_prompt, longest):
        raise DataError(
            f"sampling.max_new_tokens={new} leaves {max(room, 0)} of {whole} positions to prompts, which is "
            f"less than data.min_prompt={limits.min_prompt}: lower sampling.max_new_tokens or data.min_prompt"
        )
    return room


def said_in_text(tokenizer: Any) -> Callable[[Prompt, Sequence[Sequence[int]]], Record]:
    """Responses as the text that they add to their prompt; of messages as the assistant's turn."""

    def said(prompt: Prompt, responses: Sequence[Sequence[int]]) -> Record:
        decode = tokenizer.decode
        before = decode(prompt.ids, skip_special_tokens=True)
        texts: list[Text] = []
        for response in responses:
            whole = decode([*prompt.ids, *response], skip_special_tokens=True)
            text = (
                whole[len(before) :]
                if whole.startswith(before)
                else decode(response, skip_special_tokens=True)
            )
            texts.append(spoken(text, response, prompt.record.prompt))
        return dataclasses.replace(prompt.record, responses=tuple(texts))

    return said


def _ids(prompt: Text, tokenizer: Any) -> list[int]:
    return ids_of(rendered(Example(prompt, ()), tokenizer)[0], tokenizer)


def _wrapped(prompt: Text, template: str) -> Text:
    if isinstance(prompt, str):
        return template.replace("{prompt}", prompt)
    *before, turn = prompt
    return (*before, Message(turn.role, template.replace("{prompt}", turn.content)))


def _end(ids: Sequence[int], longest: int) -> tuple[int, ...]:
    """The end of a prompt, its first token (BOS, where there is one) kept."""
    if len(ids) <= longest:
        return tuple(ids)
    return (ids[0], *ids[len(ids) - longest + 1 :])
