"""Records as a saved reward model reads them: its own tokens, and where it is asked."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from xpo.data.counts import Counts
from xpo.data.record import Example, Message, Record
from xpo.data.render import rendered
from xpo.data.tokenize import ids_of, spelled
from xpo.data.truncate import Limits, fit
from xpo.errors import UserError
from xpo.run.manifest import hash_template
from xpo.scoring.pack import TokenRow


class Reader(Protocol):
    """``counts`` tells what was cut."""

    @property
    def counts(self) -> Counts: ...
    def row(self, record: Record) -> TokenRow: ...
    def reads(self, tokenizer: Any) -> bool: ...


def limits_of(window: int) -> Limits:
    """A model's window, of which prompt and response may each keep 16 tokens, or half of less."""
    half = window // 2
    return Limits(max_length=window, min_prompt=min(16, half), min_response=min(16, half))


@dataclass(frozen=True)
class OwnReader:
    """Texts as xpo's training rows have them: a response ends in EOS, messages go through the template."""

    tokenizer: Any
    limits: Limits
    ends: bool = True
    counts: Counts = field(default_factory=Counts, compare=False)

    def row(self, record: Record) -> TokenRow:
        """Prompt and responses as token ids. Raises ``UserError`` for a text without a token."""
        item = Example(record.prompt, record.responses, where=record.where)
        return _there(spelled(item, self.tokenizer, self.limits, {}, self.ends, self.counts, True))

    def reads(self, tokenizer: Any) -> bool:
        """Whether another tokenizer's rows are this one's: the same vocabulary, ends and template."""
        mine, theirs = self.tokenizer, tokenizer
        if mine is theirs:
            return True
        special = [(one.bos_token_id, one.eos_token_id, hash_template(one)) for one in (mine, theirs)]
        return special[0] == special[1] and mine.get_vocab() == theirs.get_vocab()


@dataclass(frozen=True)
class ForeignReader:
    """Texts as somebody else's classifier has them, by what transformers itself would do.

    With a chat template a text is what the user says, the response what the assistant says, and rows are
    what the template gives; else they are prompt, response and EOS. The score is read at the last token that
    is not ``pad_id``: what comes after it is left away.
    """

    tokenizer: Any
    limits: Limits
    pad_id: int | None
    counts: Counts = field(default_factory=Counts, compare=False)

    def row(self, record: Record) -> TokenRow:
        """Prompt and responses as token ids. Raises ``UserError`` for a text without a token."""
        item = Example(record.prompt, record.responses, where=record.where)
        if self.tokenizer.chat_template:
            prompt, responses = self._templated(_as_messages(item))
        else:
            found = spelled(item, self.tokenizer, self.limits, {}, True, self.counts, True)
            prompt, responses = _there(found)
        return _there((prompt, [self._until_pad(response) for response in responses]))

    def reads(self, tokenizer: Any) -> bool:
        """Never: rows of a policy end as xpo has them."""
        return False

    def _templated(self, item: Example) -> tuple[list[int], list[list[int]]]:
        prompt, wholes = rendered(item, self.tokenizer)
        spelt, ids = ids_of(prompt, self.tokenizer), [ids_of(whole, self.tokenizer) for whole in wholes]
        shared = min(_common(spelt, whole) for whole in ids)
        responses = [whole[shared:] for whole in ids]
        cut, kept = fit(spelt[:shared], responses, self.limits, self.tokenizer.bos_token_id)
        self.counts.note("prompt cut", int(len(cut) < shared))
        self.counts.note(
            "response cut", sum(len(new) < len(old) for new, old in zip(kept, responses, strict=True))
        )
        return cut, kept

    def _until_pad(self, response: Sequence[int]) -> Sequence[int]:
        end = len(response)
        while end and response[end - 1] == self.pad_id:
            end -= 1
        return response[:end]


def _there(row: TokenRow | None) -> TokenRow:
    if row is None or not row[0] or not all(row[1]):
        raise UserError("a prompt or response has no token, so it cannot be scored")
    return row


def _as_messages(item: Example) -> Example:
    if not isinstance(item.prompt, str):
        return item
    return dataclasses.replace(item, prompt=(Message("user", item.prompt),))


def _common(one: list[int], other: list[int]) -> int:
    return next(
        (i for i, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), min(len(one), len(other))
    )
