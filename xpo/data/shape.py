"""Masses of labelled records, and examples cut down to some of their responses."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

from xpo.data.record import Example, Record

Matrix = tuple[tuple[float, ...], ...]


def ordered(record: Record, order: Sequence[int]) -> Record:
    """The record with its responses in another order (or only some of them)."""
    return dataclasses.replace(
        record,
        responses=tuple(record.responses[i] for i in order),
        ranks=_some(record.ranks, order),
        scores=_some(record.scores, order),
        labels=_some(record.labels, order),
        wins=_some_square(record.wins, order),
        margins=_some_square(record.margins, order),
        costs=_some(record.costs, order),
        models=_some(record.models, order),
        steps=_some(record.steps, order),
        spans=_some(record.spans, order),
        parts=_some(record.parts, order),
        rivals=_some(record.rivals, order),
    )


def best_first(merit: Sequence[float]) -> list[int]:
    """Indices by falling merit; ties stay in the order of the data."""
    return sorted(range(len(merit)), key=lambda i: -merit[i])


def compared(merit: Sequence[float], halves: bool = False) -> Matrix:
    """All pairs with equal mass; a tie has none, or half for each side; zeros if nothing is compared."""
    tie = 0.5 if halves else 0.0
    above = [
        [0.0 if i == j else tie if a == b else float(a > b) for j, b in enumerate(merit)]
        for i, a in enumerate(merit)
    ]
    total = sum(map(sum, above)) or 1.0
    return tuple(tuple(mass / total for mass in row) for row in above)


def example(
    record: Record, prefer: Matrix, good: Sequence[float] | None = None, bad: Sequence[float] | None = None
) -> Example:
    """An example whose responses stand best first; the first is the one to imitate."""
    return Example(
        prompt=record.prompt,
        responses=record.responses,
        prefer=prefer,
        good=None if good is None else tuple(good),
        bad=None if bad is None else tuple(bad),
        demo=_first(len(record.responses)),
        scores=record.scores,
        wins=record.wins,
        margins=record.margins,
        costs=record.costs,
        rivals=record.rivals,
        whole=record.whole,
        where=record.where,
    )


def take(item: Example, order: Sequence[int]) -> Example:
    """Some responses of an example; the masses that stay are scaled to sum to 1 again.

    Where the target of imitation is not among them, it is the better side of what is compared. Beginnings of
    a response keep each its weight.
    """
    good, bad = _some(item.good, order), _some(item.bad, order)
    judged = sum(good or ()) + sum(bad or ()) or 1.0
    return dataclasses.replace(
        item,
        responses=tuple(item.responses[i] for i in order),
        prefer=_scaled(_some_square(item.prefer, order)),
        good=None if good is None else tuple(mass / judged for mass in good),
        bad=None if bad is None else tuple(mass / judged for mass in bad),
        demo=_target(item, order),
        weight=item.weight * (1.0 if item.whole is None else judged),
        scores=_some(item.scores, order),
        wins=_some_square(item.wins, order),
        margins=_some_square(item.margins, order),
        costs=_some(item.costs, order),
        rivals=_some(item.rivals, order),
    )


def merged(item: Example, groups: Sequence[Sequence[int]]) -> Example:
    """Responses of a group made one: what was said of each stays, but not which of them beats another.

    Masses add up and are scaled to sum to 1 again; numbers are means. To keep one copy of a response that was
    drawn twice, the one that stands first, would keep its luckier label: lists would drift to what is drawn
    most.
    """
    good, bad = _sums(item.good, groups), _sums(item.bad, groups)
    prefer = None
    if item.prefer is not None:
        rows = [[sum(item.prefer[i][j] for i in a for j in b) for b in groups] for a in groups]
        prefer = _scaled(
            tuple(tuple(0.0 if i == j else m for j, m in enumerate(r)) for i, r in enumerate(rows))
        )
    return dataclasses.replace(
        item,
        responses=tuple(item.responses[group[0]] for group in groups),
        prefer=prefer,
        good=good,
        bad=bad,
        demo=_sums(item.demo, groups),
        scores=_means(item.scores, groups),
        wins=_mean_square(item.wins, groups),
        margins=_mean_square(item.margins, groups),
        costs=_means(item.costs, groups),
        rivals=_means(item.rivals, groups),
    )


def _sums(values: tuple[float, ...] | None, groups: Sequence[Sequence[int]]) -> tuple[float, ...] | None:
    return None if values is None else tuple(sum(values[k] for k in group) for group in groups)


def _means(values: tuple[float, ...] | None, groups: Sequence[Sequence[int]]) -> tuple[float, ...] | None:
    return None if values is None else tuple(sum(values[k] for k in g) / len(g) for g in groups)


def _mean_square(matrix: Matrix | None, groups: Sequence[Sequence[int]]) -> Matrix | None:
    if matrix is None:
        return None
    return tuple(
        tuple(sum(matrix[i][j] for i in a for j in b) / (len(a) * len(b)) for b in groups) for a in groups
    )


def _target(item: Example, order: Sequence[int]) -> tuple[float, ...] | None:
    demo = _some(item.demo, order)
    if demo is None or (not sum(demo) and (item.prefer is None or len(order) == 1)):
        return demo
    return tuple(mass / sum(demo) for mass in demo) if sum(demo) else _first(len(order))


def _first(size: int) -> tuple[float, ...]:
    return (1.0, *(0.0,) * (size - 1))


def _some(values: tuple | None, order: Sequence[int]) -> tuple | None:
    return None if values is None else tuple(values[i] for i in order)


def _some_square(values: Matrix | None, order: Sequence[int]) -> Matrix | None:
    return None if values is None else tuple(tuple(values[i][j] for j in order) for i in order)


def _scaled(matrix: Matrix | None) -> Matrix | None:
    if matrix is None:
        return None
    total = sum(map(sum, matrix)) or 1.0
    return tuple(tuple(mass / total for mass in row) for row in matrix)
