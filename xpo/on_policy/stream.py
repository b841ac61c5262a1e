"""Rollouts as a loader: sample, then several epochs and minibatches of what was sampled."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

from xpo.contracts import Batch, Row
from xpo.data.collate import Collator
from xpo.data.loader import totals_of
from xpo.data.plan import Sizes
from xpo.on_policy.experience import Rollout

Collect = Callable[[Sequence[int], int], Rollout]
"""Prompts by their index, and the rollout's number -> what was sampled for them."""


@dataclass(frozen=True)
class Plan:
    """How many prompts a rollout holds, how often it is trained on, and in how many pieces.

    ``costs``: the most positions that a prompt's row can take.
    """

    costs: tuple[int, ...]
    sizes: Sizes
    epochs: int
    minibatches: int
    ranks: tuple[int, int] = (0, 1)

    @property
    def prompts(self) -> int:
        """Of a rollout."""
        return self.sizes.batch_size * self.minibatches

    @property
    def steps(self) -> int:
        """Optimizer steps of a rollout."""
        return self.epochs * self.minibatches

    @property
    def micro_batches(self) -> int:
        """Per rank and optimizer step: what the widest rows that can be sampled need under the budget."""
        each = max(1, self.sizes.tokens_per_micro_batch // max(self.costs))
        return -(-self.sizes.batch_size // (each * self.ranks[1]))

    def drawn(self, number: int) -> list[int]:
        """The prompts of a rollout: epochs of all of them, each in an order of its own."""
        count, first = len(self.costs), number * self.prompts
        return [self._order(at // count)[at % count] for at in range(first, first + self.prompts)]

    def _order(self, epoch: int) -> list[int]:
        order = list(range(len(self.costs)))
        random.Random(f"{self.sizes.seed}/prompts/{epoch}").shuffle(order)
        return order

    def batches(self, number: int, epoch: int) -> list[list[int]]:
        """A rollout's prompts by minibatch, as places in it; the first epoch keeps their order."""
        places = list(range(self.prompts))
        if self.minibatches > 1:
            random.Random(f"{self.sizes.seed}/rollout/{number}/{epoch}").shuffle(places)
        size = self.sizes.batch_size
        return [places[start : start + size] for start in range(0, self.prompts, size)]

    def mine(self, places: Sequence[int]) -> list[list[int]]:
        """This rank's micro-batches of an optimizer step; empty ones are fillers."""
        rank, ranks = self.ranks
        own = places[rank::ranks]
        each = -(-len(places[::ranks]) // self.micro_batches)
        return [list(own[i * each : (i + 1) * each]) for i in range(self.micro_batches)]


class Beside(Protocol):
    """What comes with an optimizer step from elsewhere: demonstrations, in as many micro-batches."""

    def __call__(self, step: int, micro_batches: int) -> Sequence[Batch | None]: ...


class RolloutStream:
    """Micro-batches of rollouts, one epoch of the loader being the whole run.

    It has a length, so that nothing is fetched ahead: the next rollout is sampled by the policy that the last
    update left. ``state_dict`` holds the place and the rollout that is under way, so that a resumed run
    trains on what was sampled, and does not sample again.
    """

    def __init__(
        self, plan: Plan, steps: int, collator: Collator, collect: Collect, beside: Beside | None = None
    ) -> None:
        self.plan, self.steps, self.collator = plan, steps, collator
        self._collect, self._beside = collect, beside
        self._start = self._position = 0
        self._rollout: Rollout | None = None

    @property
    def micro_batches(self) -> int:
        """Micro-batches per optimizer step and rank."""
        return self.plan.micro_batches

    @property
    def sampler(self) -> RolloutStream:
        """Where Lightning looks for ``set_epoch``."""
        return self

    def __len__(self) -> int:
        return self.steps * self.micro_batches

    def set_epoch(self, epoch: int) -> None:
        """There is one."""

    def state_dict(self) -> dict[str, Any]:
        under_way = self._position % (self.plan.steps * self.micro_batches) != 0
        rollout = self._rollout.state() if under_way and self._rollout is not None else None
        return {"position": self._position, "rollout": rollout}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self._start = self._position = state["position"]
        self._rollout = None if state["rollout"] is None else Rollout.of(state["rollout"])

    def __iter__(self) -> Iterator[Batch]:
        """From where the checkpoint stood, or from the beginning, to the end of the run."""
        step, place = divmod(self._start, self.micro_batches)
        self._position, self._start = self._start, 0
        while step < self.steps:
            number, within = divmod(step, self.plan.steps)
            if within == 0 and place == 0:
                self._rollout = self._collect(self.plan.drawn(number), number)
            assert self._rollout is not None
            epoch, minibatch = divmod(within, self.plan.minibatches)
            places = self.plan.batches(number, epoch)[minibatch]
            for batch in self._step(self._rollout, places, step)[place:]:
                self._position += 1
                yield batch
            step, place = step + 1, 0

    def _step(self, rollout: Rollout, places: Sequence[int], step: int) -> list[Batch]:
        """This rank's micro-batches of one optimizer step."""
        totals = totals_of([rollout.rows[i] for i in places], self.micro_batches)
        beside = [None] * self.micro_batches
        if self._beside is not None:
            beside = list(self._beside(step, self.micro_batches))
        found = []
        for group, other in zip(self.plan.mine(places), beside, strict=True):
            index = group or [-1]
            rows: list[Row] = [rollout.rows[max(i, 0)] for i in index]
            batch = replace(self.collator(rows, index, totals), beside=other)
            if rollout.experience is not None:
                size = batch.mask_BKT.shape
                batch = replace(batch, experience=rollout.experience.at(batch.index_B, size[1], size[2]))
            found.append(batch)
        return found
