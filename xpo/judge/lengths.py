"""Which rows are too long to be revised, where the data option says that such rows are left out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from xpo.compose.errors import ConfigError
from xpo.data.counts import Counts
from xpo.data.record import Example
from xpo.data.tokenize import spelled
from xpo.data.truncate import Limits
from xpo.judge.backend import Backend
from xpo.judge.local import LocalBackend
from xpo.judge.revisions import Item

_LIMITS = ("max_length", "max_prompt_length", "max_response_length")


def fitting(wanted: Sequence[Item], backend: Backend, data: Any) -> list[Item]:
    """Those within the limits of ``data``, in tokens of the model that is asked; nothing is ever cut.

    Raises ``ConfigError`` for limits that would cut, and for those that nobody can count.
    """
    given = [name for name in _LIMITS if data.__dict__[name] is not None]
    if not given:
        return list(wanted)
    limits = data.limits(None)
    if limits.on_long_row != "drop":
        raise ConfigError(
            f"data.{given[0]} cuts longer rows, and revisions are of whole ones: data.on_long_row=drop "
            f"leaves them out, with a count, or leave data.{given[0]} away"
        )
    if not isinstance(backend, LocalBackend):
        raise ConfigError(
            f"data.{given[0]} counts tokens, and those of the model behind annotator.url are not known here: "
            "leave it away, or take annotator.path"
        )
    return [item for item in wanted if _fits(item, backend.tokenizer, limits)]


def _fits(item: Item, tokenizer: Any, limits: Limits) -> bool:
    """As a training row; what the model has yet to answer has no length."""
    counts = Counts()
    spelled(Example(item.prompt, (item.response or item.bare,)), tokenizer, limits, {}, counts=counts)
    return not counts.dropped["too long"]
