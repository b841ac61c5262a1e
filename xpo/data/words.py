"""Prompts and responses as texts or messages, and the prompt that two responses share."""

from __future__ import annotations

from typing import Any

from xpo.data.record import Message, Text

_TURN = "\n\nAssistant:"  # how Anthropic's transcripts mark the answer that is to come


class Malformed(ValueError):
    """A value that is no text and no messages; the message says what it is. ``kind`` is for counting."""

    def __init__(self, kind: str, problem: str) -> None:
        self.kind = kind
        super().__init__(problem)


def text_of(value: Any, column: str) -> Text:
    """A column's value as text, or as messages (a list of them, or a single one)."""
    if isinstance(value, str):
        return _unicode(value, column)
    turns = [value] if isinstance(value, dict) else value
    if not isinstance(turns, list | tuple):
        raise Malformed(
            "wrong type", f"column {column!r} must be a text or a list of messages, got {_show(value)}"
        )
    if not turns:
        raise Malformed("no message", f"column {column!r} is an empty list of messages")
    return tuple(_message(turn, column) for turn in turns)


def _message(turn: Any, column: str) -> Message:
    if not isinstance(turn, dict):
        raise Malformed("wrong type", f"column {column!r}: a message must be an object, got {_show(turn)}")
    role, content = turn.get("role", turn.get("from")), turn.get("content", turn.get("value"))
    if not isinstance(role, str) or not isinstance(content, str):
        raise Malformed(
            "wrong type",
            f"column {column!r}: a message needs a text 'role' and a text 'content', got {_show(turn)}",
        )
    other = sorted(k for k, v in turn.items() if k not in {"role", "content", "from", "value"} and v)
    if other:
        raise Malformed(
            "wrong type", f"column {column!r}: a message has {', '.join(other)}, which cannot be read"
        )
    return Message({"human": "user", "gpt": "assistant"}.get(role, role), _unicode(content, column))


def _unicode(text: str, column: str) -> str:
    """JSON can spell half of a surrogate pair, which is no character and no tokenizer takes."""
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise Malformed(
            "broken Unicode",
            f"column {column!r} has half of a surrogate pair, {text[error.start]!r}, at character "
            f"{error.start + 1}: no text; write the whole character or take it out",
        ) from None
    return text


def blank(text: Text) -> bool:
    """Nothing but white space (in messages: in all of them)."""
    parts = [text] if isinstance(text, str) else [message.content for message in text]
    return not any(part.strip() for part in parts)


def joined(prompt: Text | None, responses: tuple[Text, ...]) -> tuple[Text, tuple[Text, ...]]:
    """Prompt and responses of one kind: all texts, or all messages; a prompt that is not given is found.

    Messages as responses may bring the whole conversation: what all of them share is the prompt then.
    """
    if isinstance(prompt, str) and all(isinstance(response, str) for response in responses):
        return prompt, responses
    if prompt is None and all(isinstance(response, str) for response in responses):
        return _shared_text([str(response) for response in responses])
    turns = [_as_turns(response, "assistant") for response in responses]
    whole = all(turn[0].role != "assistant" for turn in turns)
    if prompt is None or (isinstance(prompt, str) and whole):
        return _shared_turns(turns)
    return _as_turns(prompt, "user"), tuple(turns)


def _as_turns(text: Text, role: str) -> tuple[Message, ...]:
    return (Message(role, text),) if isinstance(text, str) else text


def _shared_turns(turns: list[tuple[Message, ...]]) -> tuple[Text, tuple[Text, ...]]:
    shared = 0
    longest = min(map(len, turns)) - 1  # a response keeps at least one turn
    while shared < longest and len({turn[shared] for turn in turns}) == 1:
        shared += 1
    if len(turns) == 1:  # one conversation: its last answer is the response
        shared = longest
    if shared == 0 or any(turn[shared].role != "assistant" for turn in turns):
        raise Malformed(
            "no prompt", "the conversations do not start with the same prompt and go on with an answer"
        )
    return turns[0][:shared], tuple(turn[shared:] for turn in turns)


def _shared_text(texts: list[str]) -> tuple[Text, tuple[Text, ...]]:
    """The prompt is what all texts share, up to the last answer's mark, else up to the last white space."""
    low, high = min(texts), max(texts)
    shared = next((i for i, (a, b) in enumerate(zip(low, high, strict=False)) if a != b), len(low))
    turn = low.rfind(_TURN, 0, shared)
    cut = turn + len(_TURN) if turn >= 0 else _last_space(low, shared)
    return low[:cut], tuple(text[cut:] for text in texts)


def _last_space(text: str, end: int) -> int:
    """White space stays with the response, as tokenizers have it."""
    return next((i for i in range(min(end, len(text) - 1), 0, -1) if text[i].isspace()), 0)


def _show(value: Any) -> str:
    shown = repr(value)
    return shown if len(shown) <= 60 else f"{shown[:57]}..."
