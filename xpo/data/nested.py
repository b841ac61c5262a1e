"""Beginnings of a response, cut where its own tokens end: the whole is tokenised, and never its parts."""

from __future__ import annotations

import dataclasses
from bisect import bisect_right
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from xpo.contracts import Row
from xpo.data.counts import Counts
from xpo.data.errors import DataError
from xpo.data.ids import common, leading, one_bos
from xpo.data.record import Example, Text
from xpo.data.render import rendered
from xpo.data.truncate import Limits, fit

Spelt = tuple[list[int], list[int]]
"""Token ids, and the character that each begins at."""


@dataclass(frozen=True)
class Cut:
    """``sizes``: how many of the response's tokens each part's end takes, None where that was cut off."""

    prompt: list[int]
    response: list[int]
    sizes: list[int | None]


@dataclass(frozen=True)
class Cutter:
    """Examples whose responses are beginnings of ``whole``, in tokens of ``tokenizer`` within ``limits``."""

    tokenizer: Any
    limits: Limits
    known: dict[str, Spelt] = field(default_factory=dict)

    def row(self, item: Example, prompt: Sequence[int], counts: Counts) -> Row | None:
        """The row; beginnings that end in one token are one response, and have both their masses."""
        cut = self.cut(item, prompt, counts)
        if cut is None:
            return None
        places: dict[int, list[int]] = defaultdict(list)
        for k, size in enumerate(cut.sizes):
            if size is not None:
                places[size].append(k)
        kept = sum(map(len, places.values()))
        counts.note("parts that end in the same token as another", kept - len(places))
        counts.note("parts beyond the window (their labels are lost)", len(cut.sizes) - kept)
        if not places:
            counts.drop("no part ends within the window")
            return None
        good, bad, demo = (_summed(masses, places) for masses in (item.good, item.bad, item.demo))
        judged = sum(good or ()) + sum(bad or ())
        if good is not None and bad is not None:
            if not judged:
                counts.drop("no labelled part ends within the window")
                return None
            good, bad = ([mass / judged for mass in masses] for masses in (good, bad))
        return Row(
            cut.prompt,
            [cut.response[:size] for size in places],
            good=good,
            bad=bad,
            demo=None if demo is None else [mass / (sum(demo) or 1.0) for mass in demo],
            weight=item.weight * (judged or 1.0),
            source=item.where,
        )

    def alone(self, item: Example, counts: Counts) -> Cut | None:
        """``cut`` of an example whose prompt is not tokenised yet."""
        prompt, _ = rendered(dataclasses.replace(item, responses=()), self.tokenizer)
        return self.cut(item, spelt(prompt, self.tokenizer, item.where)[0], counts)

    def cut(self, item: Example, prompt: Sequence[int], counts: Counts) -> Cut | None:
        """Where the parts end; None for a row that was dropped. ``prompt``: its tokens, on their own.

        A part's end is the token that holds its last visible character: of the tokens of a character that has
        several, the last. What comes after the last part's end is left away, EOS too.
        """
        text, at = _whole(item, self.tokenizer)
        tokens, starts = self._spelt(text, item.where)
        boundary = common(list(prompt), tokens)
        ends = [_last(starts, at + len(_content(response).rstrip())) + 1 for response in item.responses]
        if boundary == 0:
            counts.drop("empty prompt (the tokenizer has no BOS)")
            return None
        if min(ends) <= boundary:
            counts.drop("empty response")
            return None
        counts.note("a token spans prompt and response", int(boundary < len(prompt)))
        whole = tokens[boundary : max(ends)]
        head, (response,) = fit(tokens[:boundary], [whole], self.limits, self.tokenizer.bos_token_id)
        shorter = len(head) < boundary or len(response) < len(whole)
        if self.limits.on_long_row == "drop" and shorter:
            counts.drop("too long")
            return None
        counts.note("prompt cut", int(len(head) < boundary))
        sizes = [end - boundary for end in ends]
        return Cut(head, response, [size if size <= len(response) else None for size in sizes])

    def _spelt(self, text: str, where: str) -> Spelt:
        if text not in self.known:
            self.known[text] = spelt(text, self.tokenizer, where)
        return self.known[text]


def spelt(text: str, tokenizer: Any, where: str) -> Spelt:
    """Tokens with one BOS in front, and where each begins. ``DataError`` for a tokenizer that cannot say."""
    if not tokenizer.is_fast:
        raise DataError(
            f"{where}: ends of parts need a fast tokenizer, which knows the characters of its tokens; "
            f"{type(tokenizer).__name__} does not: save one with a tokenizer.json"
        )
    found = tokenizer(
        text,
        add_special_tokens=False,
        return_attention_mask=False,
        return_offsets_mapping=True,
        verbose=False,
    )
    ids, starts = list(found["input_ids"]), [start for start, _ in found["offset_mapping"]]
    bos_id = tokenizer.bos_token_id
    if bos_id is None:
        return ids, starts
    return one_bos(ids, bos_id), [0, *starts[leading(ids, bos_id) :]]


def _last(starts: Sequence[int], end: int) -> int:
    """The token that holds the character before ``end``: the last one that begins at it or before."""
    return bisect_right(starts, end - 1) - 1


def _summed(masses: Sequence[float] | None, places: dict[int, list[int]]) -> list[float] | None:
    return None if masses is None else [sum(masses[k] for k in same) for same in places.values()]


def _whole(item: Example, tokenizer: Any) -> tuple[str, int]:
    """Prompt and whole response as one text, and where the response's characters begin in it."""
    assert item.whole is not None
    prompt, (text,) = rendered(dataclasses.replace(item, responses=(item.whole,)), tokenizer)
    if isinstance(item.prompt, str):
        return text, len(prompt)
    said = _content(item.whole)
    shared = next((i for i, (a, b) in enumerate(zip(prompt, text, strict=False)) if a != b), len(prompt))
    for words, moved in ((said, 0), (said.strip(), len(said) - len(said.lstrip()))):
        at = text.find(words, shared)
        if at >= 0:
            return text, at - moved
    raise DataError(
        f"{item.where}: the tokenizer's chat template changes what the response says, so that the ends of "
        "its parts cannot be found"
    )


def _content(response: Text) -> str:
    return response if isinstance(response, str) else response[0].content
