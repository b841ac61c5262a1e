"""What an endpoint answered: the schema of a chat completion, checked."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Any

from xpo.judge.bill import Usage
from xpo.judge.errors import Again
from xpo.judge.secret import hidden

_MOST = 2**40  # tokens; more is no count

Token = tuple[str, tuple[tuple[str, float], ...]]
"""A token of the answer, and the likeliest tokens in its place with their log-probabilities (nats)."""


@dataclass(frozen=True)
class Reply:
    """The first choice; ``tokens`` is None where the server gives no log-probabilities."""

    text: str
    tokens: tuple[Token, ...] | None = None
    usage: Usage | None = None

    def stored(self) -> dict[str, Any]:
        """For JSON; ``of_stored`` reads it. What it cost is no part of it."""
        return {"text": self.text, "tokens": self.tokens}

    def without(self, key: str | None) -> Reply:
        """The reply with a key blotted out; where tokens spell it there are none left."""
        if key is None:
            return self
        spelt = "".join(token for token, _ in self.tokens or ())
        tokens = self.tokens if hidden(spelt, key) == spelt else None
        return Reply(hidden(self.text, key), tokens, self.usage)

    @classmethod
    def of_stored(cls, value: Any) -> Reply:
        """``ValueError``, ``TypeError`` or ``KeyError`` for what is no reply."""
        text, found = _text(value["text"]), value["tokens"]
        if found is None:
            return cls(text)
        return cls(
            text, tuple((_text(token), tuple((_text(t), _logp(p)) for t, p in top)) for token, top in found)
        )


def parsed(body: str) -> Reply:
    """A response's body; ``Again`` says in what it is no chat completion."""
    try:
        whole = json.loads(body)
    except (ValueError, RecursionError):
        raise Again(f"the answer is no JSON: {body[:80]!r}") from None
    try:
        choice = whole["choices"][0]
        text, usage = choice["message"]["content"], _usage(whole.get("usage"))
    except (KeyError, IndexError, TypeError, AttributeError):
        raise Again(f"the answer has no choices[0].message.content: {body[:80]!r}") from None
    reason = choice.get("finish_reason")
    if choice["message"].get("refusal") or reason == "content_filter":
        raise Again(f"the model or a filter of its server refused to answer (finish_reason {reason!r:.40})")
    if not isinstance(text, str):
        raise Again(f"the answer's content is {text!r:.40}, no text (finish_reason {reason!r:.40})")
    return Reply(whole_text(text), _tokens(choice.get("logprobs")), usage)


def whole_text(text: str) -> str:
    """A text that can be written: halves of a character, which JSON can name, become U+FFFD."""
    return re.sub("[\ud800-\udfff]", "\ufffd", text)


def _usage(found: Any) -> Usage | None:
    if not isinstance(found, dict):
        return None
    counts = [found.get(name) for name in ("prompt_tokens", "completion_tokens")]
    if any(isinstance(n, bool) or not isinstance(n, int) or not 0 <= n <= _MOST for n in counts):
        return None
    return Usage(*counts)  # pyright: ignore[reportArgumentType] (whole numbers by now)


def _tokens(found: Any) -> tuple[Token, ...] | None:
    if not isinstance(found, dict) or found.get("content") is None:
        return None
    try:
        return tuple(
            (
                _text(place["token"]),
                tuple((_text(t["token"]), _logp(t["logprob"])) for t in place["top_logprobs"]),
            )
            for place in found["content"]
        )
    except (KeyError, TypeError, ValueError) as error:
        raise Again(
            f"the answer's logprobs are not in OpenAI's form: {type(error).__name__} {error}"
        ) from None


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise ValueError(f"{value!r:.40} is no token")
    return whole_text(value)


def _logp(value: Any) -> float:
    # rounding may leave a certain token a little above 0
    if isinstance(value, bool) or not isinstance(value, int | float) or not value <= 1e-3:
        raise ValueError(f"{value!r:.40} is no log-probability")
    try:
        return float(value)
    except OverflowError:  # a whole number of hundreds of digits
        raise ValueError(f"{value!r:.40} is no log-probability") from None
