"""Where a response ends: at EOS or behind a stop string."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

import torch
from torch import Tensor

from xpo.sampler.base import Draw

_MARGIN = 4  # tokens before those that a stop string can span, as a decoder may strip a first token's space


class Stops:
    """Whether a response that is read token by token ends now.

    A stop string counts with the token that completes it, whatever else that token holds.
    """

    def __init__(self, tokenizer: Any, draw: Draw, ends: Collection[int]) -> None:
        self._tokenizer, self._draw, self._ends = tokenizer, draw, ends
        longest = max((len(stop.encode()) for stop in draw.stop), default=0)
        self.window = longest + _MARGIN  # a token is a byte of text or more

    def now(self, tail: Sequence[int], size: int) -> bool:
        """Whether the last token ends the response of this size, of which ``tail`` is enough of the end."""
        if size <= self._draw.min_new_tokens:
            return False
        return tail[-1] in self._ends or self._behind_stop(tail)

    def cut(self, tokens: Sequence[int]) -> tuple[list[int], bool]:
        """Up to the token that ends the response or is the last that there may be; whether it is ended."""
        most = list(tokens[: self._draw.max_new_tokens])
        for size in range(1, len(most) + 1):
            if self.now(most[max(0, size - self.window) : size], size):
                return most[:size], True
        return most, False

    def _behind_stop(self, tail: Sequence[int]) -> bool:
        """A stop string more with the last token than without it."""
        if not self._draw.stop:
            return False
        text, before = (self._tokenizer.decode(part) for part in (list(tail), list(tail[:-1])))
        return any(text.count(stop) > before.count(stop) for stop in self._draw.stop)


class StopNow:
    """For ``generate``: rows whose response is at its end; afterwards where that was."""

    def __init__(self, stops: Stops, prompt_length: int) -> None:
        self._stops, self._begin, self._size = stops, prompt_length, dict[int, int]()

    def __call__(self, ids_RS: Tensor, scores: Any, **_: Any) -> Tensor:
        size = ids_RS.shape[1] - self._begin
        tails = ids_RS[:, self._begin :][:, -self._stops.window :].tolist()
        for row, tail in enumerate(tails):
            if row not in self._size and self._stops.now(tail, size):
                self._size[row] = size
        return torch.tensor([row in self._size for row in range(len(tails))], device=ids_RS.device)

    def cut(self, row: int, tokens: list[int]) -> tuple[list[int], bool]:
        """The response in this row, and whether it is ended."""
        return tokens[: self._size.get(row)], row in self._size
