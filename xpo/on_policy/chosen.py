"""Samples that somebody chooses from before they are annotated."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from xpo.contracts import Row
from xpo.data.prompts import Prompt
from xpo.run.ranks import rows_from_all_ranks

Choose = Callable[[Sequence[Row]], Sequence[int]]
"""Of rows without labels the places of those that are annotated."""


def chosen(
    choose: Choose, prompts: Sequence[Prompt], asked: Mapping[int, tuple[Any, ...]], connected: bool
) -> dict[int, tuple[Any, ...]]:
    """What is left of the responses that this rank has drawn for some places.

    ``connected``: other ranks have drawn for other places, and the choice is among all.
    """
    rows = {
        place: Row(prompts[place].ids, [response for part in parts for response in part])
        for place, parts in asked.items()
    }
    places = set(choose(rows_from_all_ranks(rows) if connected else list(rows.values())))
    return {place: parts for place, parts in asked.items() if place in places}
