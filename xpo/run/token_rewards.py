"""``token_rewards.jsonl``: the reward of every token of given responses."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from xpo.run.files import plain, write_text


@dataclass(frozen=True)
class Token:
    """One token of a response. ``reward``, ``logp`` and ``ref_logp`` are nats; None where it does not train.

    ``text`` is "" where the next token completes its character. ``ref_logp`` is None without a reference.
    """

    id: int
    text: str
    special: bool = False
    reward: float | None = None
    logp: float | None = None
    ref_logp: float | None = None


@dataclass(frozen=True)
class Judged:
    """One response, what its row says of it (``label``), and its reward as a whole.

    ``merit`` orders the responses of a prompt, the best label first.
    """

    row: int
    number: int
    label: str
    merit: float
    prompt: str
    source: str
    reward: float
    tokens: Sequence[Token]

    @property
    def text(self) -> str:
        return "".join(token.text for token in self.tokens)


def write_token_rewards(path: Path, responses: Iterable[Judged]) -> Path:
    """A line for each response: ``tokens, pieces, rewards, logp, ref_logp`` have an entry for each token."""
    return write_text(path, "".join(f"{_line(response)}\n" for response in responses))


def _line(response: Judged) -> str:
    record = {
        "row": response.row,
        "source": response.source,
        "response": response.number,
        "label": response.label,
        "prompt": response.prompt,
        "text": response.text,
        "reward": _short(response.reward),
        "tokens": [token.id for token in response.tokens],
        "pieces": [token.text for token in response.tokens],
        "rewards": [_short(token.reward) for token in response.tokens],
        "logp": [_short(token.logp) for token in response.tokens],
        "ref_logp": [_short(token.ref_logp) for token in response.tokens],
    }
    return json.dumps(plain(record), ensure_ascii=False)


def _short(value: float | None) -> float | None:
    """What float32 knows of a number."""
    return None if value is None else float(f"{value:.7g}")
