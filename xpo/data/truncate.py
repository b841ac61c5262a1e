"""Cutting a row to the window: the prompt's start first, then the responses' ends."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

Ids = Sequence[int]


@dataclass(frozen=True)
class Limits:
    """Lengths in tokens, BOS and EOS included; None is no limit.

    ``max_length`` holds for prompt + response, each response on its own. The prompt gives way first, to
    ``min_prompt`` tokens; so at least ``min_response`` tokens of a longer response always stay.
    """

    max_length: int | None = None
    max_prompt_length: int | None = None
    max_response_length: int | None = None
    min_prompt: int = 16
    min_response: int = 16
    on_long_row: Literal["truncate", "drop"] = "truncate"

    def __post_init__(self) -> None:
        for name in ("max_length", "max_prompt_length", "max_response_length", "min_prompt", "min_response"):
            value = self.__dict__[name]
            if value is not None and value < 1:
                raise ValueError(f"{name} must be at least 1 token, got {value}")
        floor = self.min_prompt + self.min_response
        if self.max_length is not None and self.max_length < floor:
            raise ValueError(
                f"max_length {self.max_length} has no room for min_prompt {self.min_prompt} + min_response "
                f"{self.min_response} tokens: raise it, or lower them"
            )
        if self.max_response_length is not None and self.max_response_length < self.min_response:
            raise ValueError(
                f"max_response_length {self.max_response_length} is below min_response {self.min_response}"
            )


def for_two(limits: Limits) -> Limits:
    """Such that prompt, one response, a separator and another response fit; each is at most a third."""
    if limits.max_length is None:
        return limits
    third = (limits.max_length - 1) // 3
    longest = third if limits.max_response_length is None else min(third, limits.max_response_length)
    rest = limits.max_length - 1 - longest
    return dataclasses.replace(limits, max_length=rest, max_response_length=longest)


def fit(
    prompt: Ids, responses: Sequence[Ids], limits: Limits, bos_id: int | None
) -> tuple[list[int], list[list[int]]]:
    """Prompt and responses within the limits. All responses keep one prompt: the longest decides.

    A cut prompt keeps its end, and its BOS. A cut response loses its end, so its EOS: a model that learnt
    EOS there would learn to stop where the window did.
    """
    longest = max(map(len, responses))
    if limits.max_response_length is not None:
        longest = min(longest, limits.max_response_length)
    room = len(prompt)
    if limits.max_prompt_length is not None:
        room = min(room, limits.max_prompt_length)
    if limits.max_length is not None:
        room = min(room, max(limits.max_length - longest, min(room, limits.min_prompt)))
        longest = min(longest, limits.max_length - room)
    return _end(prompt, room, bos_id), [list(response[:longest]) for response in responses]


def _end(prompt: Ids, room: int, bos_id: int | None) -> list[int]:
    if len(prompt) <= room:
        return list(prompt)
    if bos_id is not None and prompt[0] == bos_id:
        return [bos_id, *prompt[len(prompt) - room + 1 :]]
    return list(prompt[len(prompt) - room :])
