"""Rollouts as a loader: sample, then several epochs and minibatches of what was sampled."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

from xpo.contracts import Batch
from xpo.data.collate import Collator
from xpo.data.loader import ProbeRows, StepLoader
from xpo.data.plan import Sizes
from xpo.on_policy.experience import Rollout

Collect = Callable[[Sequence[int], int], Rollout]
"""Prompts by their index, and the rollout's number -> what was sampled for them."""


@dataclass(frozen=True)
class Plan:
    """How many prompts a rollout holds, how often it is trained on, and in how many pieces.

    ``costs``: the most positions that a prompt's row can take. ``rows``: the most rows that a prompt makes.
    ``first``: the number of the first rollout, where rounds before have had some.
    """

    costs: tuple[int, ...]
    sizes: Sizes
    epochs: int = 1
    minibatches: int = 1
    ranks: tuple[int, int] = (0, 1)
    rows: int = 1
    first: int = 0

    @property
    def prompts(self) -> int:
        """Of a rollout."""
        return self.sizes.batch_size * self.minibatches

    @property
    def steps(self) -> int:
        """Optimizer steps of a rollout."""
        return self.epochs * self.minibatches

    @property
    def each(self) -> int:
        """How many of the widest rows that can be sampled fit into a micro-batch."""
        return max(1, self.sizes.tokens_per_micro_batch // max(self.costs))

    @property
    def micro_batches(self) -> int:
        """Per rank and optimizer step."""
        return -(-self.sizes.batch_size * self.rows // (self.each * self.ranks[1]))

    def drawn(self, number: int) -> list[int]:
        """The prompts of a rollout: epochs of all of them, each in an order of its own."""
        count, first = len(self.costs), number * self.prompts
        return [self._order(at // count)[at % count] for at in range(first, first + self.prompts)]

    def _order(self, epoch: int) -> list[int]:
        order = list(range(len(self.costs)))
        random.Random(f"{self.sizes.seed}/prompts/{epoch}").shuffle(order)
        return order


class Kept(Protocol):
    """What stands in a checkpoint beside the rollout that is under way."""

    def state_dict(self) -> dict[str, Any]: ...
    def load_state_dict(self, state: dict[str, Any]) -> None: ...


class Beside(Protocol):
    """What comes with an optimizer step from elsewhere: demonstrations, in as many micro-batches."""

    def __call__(self, step: int, micro_batches: int) -> Sequence[Batch | None]: ...


class RolloutStream:
    """Micro-batches of rollouts, one epoch of the loader being the whole run.

    It has a length, so that nothing is fetched ahead: the next rollout is sampled by the policy that the last
    update left. ``state_dict`` holds the place and the rollout that is under way, so that a resumed run
    trains on what was sampled, and does not sample again; and what whoever collects keeps from one rollout
    to the next (``kept``).
    """

    def __init__(
        self,
        plan: Plan,
        steps: int,
        collator: Collator,
        collect: Collect,
        probes: ProbeRows | None = None,
        beside: Beside | None = None,
        kept: Kept | None = None,
    ) -> None:
        self.plan, self.steps, self.collator = plan, steps, collator
        self._collect, self._probes, self._beside, self._kept = collect, probes, beside, kept
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
        kept = None if self._kept is None else self._kept.state_dict()
        return {"position": self._position, "rollout": rollout, "kept": kept}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self._start = self._position = state["position"]
        self._rollout = None if state["rollout"] is None else Rollout.of(state["rollout"])
        if self._kept is not None:
            self._kept.load_state_dict(state["kept"])

    def __iter__(self) -> Iterator[Batch]:
        """From where the checkpoint stood, or from the beginning, to the end of the run."""
        self._position, self._start = self._start, 0
        whole = self.plan.steps * self.micro_batches
        while self._position < len(self):
            number, place = divmod(self._position, whole)
            number += self.plan.first
            if place == 0:
                self._rollout = self._collect(self.plan.drawn(number), number)
            assert self._rollout is not None, "a place within a rollout comes with the rollout"
            for batch in self._batches(self._rollout, number, place):
                self._position += 1
                yield batch
                if self._position == len(self):
                    return

    def _batches(self, rollout: Rollout, number: int, start: int) -> Iterator[Batch]:
        """This rank's micro-batches of a rollout, from a place on."""
        loader = self._loader(rollout, number)
        epoch, place = divmod(start, len(loader))
        step = number * self.plan.steps + start // self.micro_batches
        while epoch < self.plan.epochs:
            loader.load_state_dict({"epoch": epoch, "position": place, "rows": len(loader.rows)})
            beside: Sequence[Batch | None] = ()
            for batch in loader:
                within = place % self.micro_batches
                if within == 0 or not beside:
                    beside = self._others(step)
                yield replace(batch, experience=self._known(rollout, batch), beside=beside[within])
                place += 1
                step += within == self.micro_batches - 1
            epoch, place = epoch + 1, 0

    def _loader(self, rollout: Rollout, number: int) -> StepLoader:
        """Over the rollout's rows, as many optimizer steps as there are minibatches."""
        size = -(-len(rollout.rows) // self.plan.minibatches)
        sizes = replace(self.plan.sizes, batch_size=size, bucket=False, seed=self.plan.sizes.seed + number)
        rank, ranks = self.plan.ranks
        return StepLoader(
            rollout.rows,
            sizes,
            self.collator,
            rank=rank,
            world_size=ranks,
            probes=self._probes,
            settled=(self.micro_batches, self.plan.minibatches),
        )

    def _others(self, step: int) -> Sequence[Batch | None]:
        if self._beside is None:
            return [None] * self.micro_batches
        return self._beside(step, self.micro_batches)

    def _known(self, rollout: Rollout, batch: Batch) -> Any:
        if rollout.experience is None:
            return None
        _, size, width = batch.mask_BKT.shape
        return rollout.experience.at(batch.index_B, size, width)
