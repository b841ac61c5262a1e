"""Work in batches of like size, handed out in the order of what was asked."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TypeVar

WINDOW = 64
"""What is sorted by size together: at most so many are lost when a run is killed."""

Asked = TypeVar("Asked")
Made = TypeVar("Made")
Found = TypeVar("Found")


def in_windows(
    asked: Sequence[Asked],
    make: Callable[[Asked], Made],
    size: Callable[[Made], int],
    work: Callable[[Sequence[Made]], list[Found]],
    tokens: int,
) -> Iterator[Found]:
    """Work on like sizes together, hand out in order; what cannot be made raises when it is its turn."""
    for start in range(0, len(asked), WINDOW):
        made, error = until_error(make(one) for one in asked[start : start + WINDOW])
        found: dict[int, Found] = {}
        order = sorted(range(len(made)), key=lambda i: (-size(made[i]), i))
        for group in _groups(order, [size(item) for item in made], tokens):
            found.update(zip(group, work([made[i] for i in group]), strict=True))
        yield from (found[i] for i in range(len(made)))
        if error is not None:
            raise error


def until_error(values: Iterable[Made]) -> tuple[list[Made], Exception | None]:
    """What came before the first error, so that it can be used before the error is raised."""
    made: list[Made] = []
    try:
        made.extend(values)
    except Exception as error:  # whatever it is: it is raised when its turn has come
        return made, error
    return made, None


def _groups(order: Sequence[int], sizes: Sequence[int], tokens: int) -> Iterator[list[int]]:
    """Consecutive groups of falling size, each within the budget when padded, or of one."""
    group: list[int] = []
    for i in order:
        if group and (len(group) + 1) * sizes[group[0]] > tokens:
            yield group
            group = []
        group.append(i)
    if group:
        yield group
