"""Examples to token rows: the boundary in token space, one BOS, a trained EOS, honest truncation."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

from xpo.contracts import Row
from xpo.data.counts import Counts
from xpo.data.errors import DataError
from xpo.data.ids import common, one_bos
from xpo.data.nested import Cutter
from xpo.data.record import Example
from xpo.data.render import rendered
from xpo.data.shape import merged
from xpo.data.truncate import Ids, Limits, fit

Progress = Callable[[int, int], None]
"""Called with (texts done, texts in all)."""

_CHUNK = 1024  # texts per call of the tokenizer: many threads, few calls, and a bar that moves


def tokenize(
    examples: Sequence[Example],
    tokenizer: Any,
    limits: Limits,
    counts: Counts,
    progress: Progress | None = None,
    known: dict[str, list[int]] | None = None,
    ends: bool = True,
) -> list[Row]:
    """One row per example that survives; the rest are dropped by reason in ``counts``.

    Prompt and prompt + response are tokenised once each; the prompt is what the tokens of all of these
    share, so that a token that spans the boundary is trained as a part of the response (rows where that
    happens are noted). Each row has exactly one BOS if the tokenizer has one, and every response that is
    not cut ends in exactly one EOS. Without ``ends`` responses are steps: none has an EOS, and what they
    all begin with does not train. Beginnings of a response are cut from its tokens (``xpo.data.nested``).
    ``known`` holds texts that were tokenised before, and is added to. Raises ``DataError`` for a tokenizer
    without EOS, and for messages without a chat template.
    """
    if tokenizer.eos_token_id is None:
        raise DataError("the tokenizer has no EOS token, so no response can end: give it one")
    texts = [_rendered(item, tokenizer) for item in examples]
    ids, cutter = {} if known is None else known, Cutter(tokenizer, limits)
    _encode(texts, tokenizer, ids, progress)
    rows = []
    for item, (prompt, wholes) in zip(examples, texts, strict=True):
        if item.whole is None:
            encoded = (ids[prompt], [ids[whole] for whole in wholes])
            row = _row(item, encoded, tokenizer, limits, counts, ends)
        else:
            row = cutter.row(item, ids[prompt], counts)
        if row is not None:
            rows.append(row)
    return rows


def _rendered(item: Example, tokenizer: Any) -> tuple[str, list[str]]:
    """As ``rendered``; the text of beginnings is not needed, as that of their whole is cut."""
    if item.whole is None:
        return rendered(item, tokenizer)
    return rendered(dataclasses.replace(item, responses=()), tokenizer)


def spelled(
    item: Example,
    tokenizer: Any,
    limits: Limits,
    known: dict[str, list[int]],
    ends: bool = True,
    counts: Counts | None = None,
    blank: bool = False,
) -> tuple[list[int], list[list[int]]] | None:
    """Prompt and responses as ``tokenize`` cuts and ends them, each at its place; None if dropped.

    ``blank``: a response that says nothing is its end alone, as a policy may sample it.
    """
    prompt, wholes = rendered(item, tokenizer)
    _encode([(prompt, wholes)], tokenizer, known, None)
    encoded = (known[prompt], [known[whole] for whole in wholes])
    return _cut(item, encoded, tokenizer, limits, Counts() if counts is None else counts, ends, blank)


def _encode(
    texts: Sequence[tuple[str, Sequence[str]]],
    tokenizer: Any,
    ids: dict[str, list[int]],
    progress: Progress | None,
) -> None:
    """Every distinct text to its ids, with exactly one BOS in front if there is such a token."""
    distinct = dict.fromkeys(text for prompt, wholes in texts for text in (prompt, *wholes))
    distinct = [text for text in distinct if text not in ids]
    bos_id = tokenizer.bos_token_id
    for start in range(0, len(distinct), _CHUNK):
        chunk = distinct[start : start + _CHUNK]
        encoded = tokenizer(chunk, add_special_tokens=False, return_attention_mask=False, verbose=False)[
            "input_ids"
        ]
        for text, tokens in zip(chunk, encoded, strict=True):
            ids[text] = one_bos(tokens, bos_id)
        if progress is not None:
            progress(min(start + _CHUNK, len(distinct)), len(distinct))


def ids_of(text: str, tokenizer: Any) -> list[int]:
    """One text to its ids as rows have them: exactly one BOS in front if there is such a token."""
    ids: dict[str, list[int]] = {}
    _encode([(text, ())], tokenizer, ids, None)
    return ids[text]


def _row(
    item: Example,
    encoded: tuple[Ids, Sequence[Ids]],
    tokenizer: Any,
    limits: Limits,
    counts: Counts,
    ends: bool,
) -> Row | None:
    cut = _cut(item, encoded, tokenizer, limits, counts, ends)
    if cut is None:
        return None
    row = distinct(item, *cut, counts)
    return row if row is None or ends else _after_the_shared_steps(row)


def _cut(
    item: Example,
    encoded: tuple[Ids, Sequence[Ids]],
    tokenizer: Any,
    limits: Limits,
    counts: Counts,
    ends: bool,
    blank: bool = False,
) -> tuple[list[int], list[list[int]]] | None:
    """The prompt's tokens and each response's, with EOS where it ends, within the limits."""
    prompt, wholes = encoded
    boundary = min(common(prompt, whole) for whole in wholes)
    if boundary == 0:
        counts.drop("empty prompt (the tokenizer has no BOS)")
        return None
    if not (blank and ends) and any(len(whole) == boundary for whole in wholes):
        counts.drop("empty response")
        return None
    if boundary < len(prompt):
        counts.note("a token spans prompt and response")
    close = closed if ends else _open
    responses = [close(whole[boundary:], tokenizer) for whole in wholes]
    if not all(responses):
        counts.drop("empty step")
        return None
    cut_prompt, cut_responses = fit(prompt[:boundary], responses, limits, tokenizer.bos_token_id)
    shorter = sum(len(new) < len(old) for new, old in zip(cut_responses, responses, strict=True))
    if limits.on_long_row == "drop" and (shorter or len(cut_prompt) < boundary):
        counts.drop("too long")
        return None
    counts.note("prompt cut", int(len(cut_prompt) < boundary))
    counts.note("response cut (no EOS trained)", shorter)
    return list(cut_prompt), [list(response) for response in cut_responses]


def _after_the_shared_steps(row: Row) -> Row:
    """The row with what all its responses begin with left out of training (at least one token stays)."""
    first = row.responses[0]
    shared = min(common(first, response) for response in row.responses)
    return dataclasses.replace(row, skip=min(shared, min(map(len, row.responses)) - 1))


def closed(response: Ids, tokenizer: Any) -> list[int]:
    """The response with one EOS at its end; white space that a chat template puts behind EOS goes."""
    eos_id = tokenizer.eos_token_id
    last = next((i for i in range(len(response) - 1, -1, -1) if response[i] == eos_id), None)
    if last is None or tokenizer.decode(response[last + 1 :]).strip():
        return [*response, eos_id]
    while last > 0 and response[last - 1] == eos_id:
        last -= 1
    return list(response[: last + 1])


def _open(response: Ids, tokenizer: Any) -> list[int]:
    """The response without EOS at its end."""
    end = len(response)
    while end and response[end - 1] == tokenizer.eos_token_id:
        end -= 1
    return list(response[:end])


def distinct(item: Example, prompt: list[int], responses: list[list[int]], counts: Counts) -> Row | None:
    """The row with each response once: equal ones cannot be told apart, whatever was said about them."""
    places: dict[tuple[int, ...], list[int]] = {}
    for k, response in enumerate(responses):
        places.setdefault(tuple(response), []).append(k)
    keep = [group[0] for group in places.values()]
    if len(keep) < len(responses):
        item = merged(item, list(places.values()))
        if len(keep) < 2 or (item.prefer is not None and not sum(map(sum, item.prefer))):
            counts.drop("identical responses")
            return None
        counts.note("responses that equal another of their row", len(responses) - len(keep))
    masses = {
        field.name: getattr(item, field.name) for field in dataclasses.fields(item) if field.name in _MASSES
    }
    return Row(prompt, [responses[k] for k in keep], weight=item.weight, source=item.where, **masses)


_MASSES = ("prefer", "good", "bad", "demo", "scores", "wins", "margins", "costs", "rivals")
