"""Texts whose tokens are known, because a policy has just sampled them."""

from __future__ import annotations

from collections.abc import Sequence

from xpo.data.record import Example, Message, Text


class Spoken(str):
    """A text with the ids that said it: another tokenisation of it was not sampled."""

    ids: tuple[int, ...]

    def __new__(cls, text: str, ids: Sequence[int]) -> Spoken:
        made = super().__new__(cls, text)
        made.ids = tuple(ids)
        return made

    def __getnewargs__(self) -> tuple[str, tuple[int, ...]]:  # pyright: ignore[reportIncompatibleMethodOverride]
        """For copies and for other processes."""
        return str(self), self.ids


def ids_said(text: Text) -> tuple[int, ...] | None:
    """The ids of a text that was sampled, or of messages whose last one was; else None."""
    last = text if isinstance(text, str) else text[-1].content
    return last.ids if isinstance(last, Spoken) else None


def said_by(item: Example) -> list[list[int]] | None:
    """The responses' ids where all were sampled."""
    found = [ids_said(response) for response in item.responses]
    return None if None in found else [list(ids) for ids in found if ids is not None]


def spoken(text: str, ids: Sequence[int], alike: Text) -> Text:
    """A response of the kind that ``alike``, its prompt, asks for."""
    said = Spoken(text, ids)
    return said if isinstance(alike, str) else (Message("assistant", said),)
