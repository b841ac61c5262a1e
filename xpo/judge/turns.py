"""Conversations as the text that a model goes on with: by its chat template, or as a plain transcript."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from xpo.data.record import Example, Message, Text
from xpo.data.render import rendered

NAMES = {"user": "Human", "assistant": "Assistant"}
"""How a plain transcript calls the speakers; other turns stand without a name."""


@dataclass(frozen=True)
class Head:
    """``text`` is what the model reads; ``glue`` stands between it and what is said."""

    text: str
    glue: str = ""
    plain: bool = False

    def said(self, answer: str) -> str:
        """A drawn answer without the glue; in a transcript it ends where the model speaks for the user."""
        if not self.plain:
            return answer
        return answer.removeprefix(self.glue).split(f"\n\n{NAMES['user']}:")[0]


def head(conversation: Sequence[Message], tokenizer: Any) -> Head:
    """The text up to the answer; a last turn of the assistant is gone on with.

    What is said cannot make special tokens: a special token's name within a message is broken up.
    """
    turns = tuple(Message(turn.role, harmless(turn.content, tokenizer)) for turn in conversation)
    if tokenizer.chat_template:
        return Head(rendered(Example(turns, ()), tokenizer)[0])
    text = "\n\n".join(_line(turn) for turn in turns)
    if turns[-1].role == "assistant":
        return Head(text, "", plain=True)
    return Head(f"{text}\n\n{NAMES['assistant']}:", " ", plain=True)


def harmless(text: str, tokenizer: Any) -> str:
    """The text with a space inside of whatever the tokenizer would read as a special token."""
    special = [str(token) for token in tokenizer.added_tokens_decoder.values() if token.special]
    if not special:
        return text
    pattern = "|".join(re.escape(token) for token in sorted(special, key=len, reverse=True))
    return re.sub(pattern, lambda found: f"{found[0][0]} {found[0][1:]}", text)


def _line(turn: Message) -> str:
    name = NAMES.get(turn.role)
    return turn.content if name is None else f"{name}: {turn.content}"


def spoken(text: Text) -> str:
    """A prompt or response as it stands within a question: messages as a transcript."""
    if isinstance(text, str):
        return text.strip()
    if len(text) == 1 and text[0].role == "assistant":  # a response
        return text[0].content.strip()
    return "\n\n".join(_line(turn) for turn in text).strip()
