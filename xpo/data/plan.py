"""Which rows make an optimizer step, and which of them share a micro-batch.

Steps are the same for any number of ranks; within a step its rows go to ``world_size *
micro_batches`` groups of about equal padded size. The number of micro-batches is one for all steps of
all epochs, because Lightning accumulates over a fixed number of them.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from xpo.contracts import Row

_MEGA = 50  # steps whose rows are sorted together: long enough to sort well, short enough to stay shuffled

Group = tuple[int, ...]
"""Rows of one micro-batch: indices into the data set, largest first; empty is a micro-batch of filler."""


@dataclass(frozen=True)
class Sizes:
    """The two sizes of a config, and how an epoch is cut by them.

    ``batch_size``: rows per optimizer step, all ranks. ``tokens_per_micro_batch``: padded positions
    (rows x the longest); a longer row gets a micro-batch of its own. ``bucket``: a step's rows are of like
    length. ``drop_last``: an epoch's last, smaller step is left out.
    """

    batch_size: int
    tokens_per_micro_batch: int
    bucket: bool = True
    drop_last: bool = False
    seed: int = 0

    def __post_init__(self) -> None:
        for name in ("batch_size", "tokens_per_micro_batch"):
            if self.__dict__[name] < 1:
                raise ValueError(f"{name} must be at least 1, got {self.__dict__[name]}")


def cost(row: Row) -> int:
    """Positions of a packed row: the prompt, and every distinct prefix of its responses once."""
    fed = sorted(tuple(response[:-1]) for response in row.responses)
    shared = sum(_common(a, b) for a, b in zip(fed, fed[1:], strict=False))
    return len(row.prompt) + sum(map(len, fed)) - shared


def _common(a: Sequence[int], b: Sequence[int]) -> int:
    return next((i for i, (x, y) in enumerate(zip(a, b, strict=False)) if x != y), min(len(a), len(b)))


@dataclass(frozen=True)
class Plan:
    """The steps of every epoch over rows of the given costs.

    ``groups_per_step``: micro-batches of a step and rank, where that is settled elsewhere. ``least``: steps
    of an epoch; where the rows are fewer the last ones are empty.
    """

    costs: tuple[int, ...]
    sizes: Sizes
    world_size: int = 1
    groups_per_step: int | None = None
    least: int = 0

    def __post_init__(self) -> None:
        if not self.costs:
            raise ValueError("there are no rows to plan")
        if self.sizes.drop_last and len(self.costs) < self.sizes.batch_size:
            raise ValueError(
                f"{len(self.costs)} rows are less than one batch of {self.sizes.batch_size}, and drop_last "
                "would drop them all: lower batch_size"
            )

    @property
    def steps(self) -> int:
        """Optimizer steps of an epoch."""
        whole, rest = divmod(len(self.costs), self.sizes.batch_size)
        return max(whole + (rest > 0 and not self.sizes.drop_last), self.least)

    @cached_property
    def micro_batches(self) -> int:
        """Per rank and step: what the most expensive step that can be drawn needs under the budget."""
        if self.groups_per_step is not None:
            return self.groups_per_step
        worst = sorted(self.costs, reverse=True)[: self.sizes.batch_size]
        groups = len(_cut(worst, self.sizes.tokens_per_micro_batch))
        return -(-groups // self.world_size)

    def epoch(self, number: int) -> list[list[int]]:
        """The rows of each step, every row once (but for a dropped last step)."""
        rng = random.Random(f"{self.sizes.seed}/{number}")
        order = list(range(len(self.costs)))
        rng.shuffle(order)
        size = self.sizes.batch_size
        if not self.sizes.bucket:
            steps = [order[i : i + size] for i in range(0, len(order), size)][: self.steps]
            return steps + [[]] * (self.steps - len(steps))
        steps, rest = [], order[len(order) // size * size :]
        for start in range(0, len(order) - len(rest), size * _MEGA):
            mega = sorted(order[start : min(start + size * _MEGA, len(order) - len(rest))], key=self._key)
            steps += [mega[i : i + size] for i in range(0, len(mega), size)]
        rng.shuffle(steps)
        return steps + ([rest] if rest and not self.sizes.drop_last else [])

    def groups(self, step: Sequence[int], rank: int) -> list[Group]:
        """A rank's micro-batches of a step, ``micro_batches`` of them; the ranks' costs are about equal."""
        if not step:
            return [()] * self.micro_batches
        number = self.world_size * self.micro_batches
        rows = sorted(step, key=self._key)
        groups = _spread(rows, [self.costs[i] for i in rows], number)
        groups.sort(key=lambda group: -self._padded(group))
        dealt = []
        for turn in range(self.micro_batches):
            hand = groups[turn * self.world_size : (turn + 1) * self.world_size]
            dealt.append(hand[rank if turn % 2 == 0 else self.world_size - 1 - rank])
        return dealt

    def _key(self, index: int) -> tuple[int, int]:
        return -self.costs[index], index

    def _padded(self, group: Group) -> int:
        return len(group) * max((self.costs[i] for i in group), default=0)


def _cut(costs: Sequence[int], budget: int) -> list[int]:
    """Sizes of consecutive groups of falling costs, each within the budget (or of one row)."""
    sizes: list[int] = []
    widest = 0
    for value in costs:
        if sizes and (sizes[-1] + 1) * widest <= budget:
            sizes[-1] += 1
        else:
            sizes.append(1)
            widest = value
    return sizes


def _spread(rows: Sequence[int], costs: Sequence[int], number: int) -> list[Group]:
    """``number`` groups of rows of falling cost: the smallest budget that needs no more, then halvings."""
    low, high = 0, len(rows) * costs[0]
    while low < high:
        middle = (low + high) // 2
        low, high = (low, middle) if len(_cut(costs, middle)) <= number else (middle + 1, high)
    sizes = _cut(costs, low)
    while len(sizes) < min(number, len(rows)):
        biggest = max(range(len(sizes)), key=lambda i: sizes[i] * costs[sum(sizes[:i])] * (sizes[i] > 1))
        sizes[biggest : biggest + 1] = [sizes[biggest] // 2, sizes[biggest] - sizes[biggest] // 2]
    ends = [sum(sizes[: i + 1]) for i in range(len(sizes))]
    groups = [tuple(rows[end - size : end]) for size, end in zip(sizes, ends, strict=True)]
    return groups + [()] * (number - len(groups))
