"""One epoch of two optimizer steps by hand: the loss of each, its gradient, and what was remembered.

As a script it is one of two ranks, which puts what it finds into a file.
"""

from __future__ import annotations

import dataclasses
import sys
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from tests.stages.test_step_zero import composed, rows
from xpo.arrow import OffPolicy
from xpo.contracts import Batch, Probes, Row
from xpo.data.collate import Collator
from xpo.data.loader import ProbeRows, StepLoader
from xpo.data.plan import Sizes
from xpo.gold.world import World
from xpo.model.scratch import Scratch
from xpo.module.off_policy import OffPolicyModule
from xpo.reference.prepared import Prepared, standing
from xpo.scoring.score import Scoring

CASES: dict[str, tuple[int, tuple[str, ...]]] = {
    "kto": (1, ("algo=kto",)),
    "bco": (1, ("algo=bco",)),
    "beta_dpo": (2, ("algo=beta_dpo", "reward.beta=0.5")),
    "beta_dpo_lists": (3, ("algo=beta_dpo", "arity=list")),
    "dr_dpo": (2, ("algo=dr_dpo", "weighting.temperature=0.2")),
    "aot": (2, ("algo=aot", "reward.beta=0.5")),
    "aot_lists": (3, ("algo=aot", "arity=list", "label_noise=smoothing", "reward.beta=0.5")),
    "aot_unpaired": (1, ("algo=aot_unpaired", "reward.beta=0.5")),
    "aot_unpaired_lists": (3, ("algo=aot_unpaired", "feedback=preference", "arity=list", "reward.beta=0.5")),
}
"""Responses to a prompt, and the run's overrides."""

ROWS, STEP = 14, 8  # the second step is a shorter one


@dataclass(frozen=True)
class Found:
    """What one optimizer step came to."""

    loss: float
    gradient: Tensor
    memory: Tensor


class PerMicroBatch(OffPolicyModule):
    """The mistake: statistics of what is in memory at once."""

    def loss(self, batch: Batch) -> Tensor:
        if batch.probes is not None:
            self.left = list(batch.probes.mismatched or ())
        mine = (self.left.pop(0),) if self.left else None
        if not bool((batch.weight_B > 0).any()):
            return 0.0 * self.scores(batch).logp_BKT.sum()
        return super().loss(dataclasses.replace(batch, probes=Probes((), mine)))


def made(K: int) -> list[Row]:
    """Rows of unlike weight; of lists every third one is shorter."""
    found = []
    for b, row in enumerate(rows(ROWS, K)):
        row = dataclasses.replace(row, weight=1.0 + 0.5 * (b % 3), good=_hard(row.good, b, K))
        row = dataclasses.replace(row, bad=[1.0 / K - mass for mass in row.good or ()])
        found.append(_shorter(row) if K > 2 and b % 3 == 0 else row)
    return found


def _hard(good: Any, b: int, K: int) -> list[float]:
    """One response: two good rows for a bad one, so that they are not equally many."""
    return [float(b % 3 != 0)] if K == 1 else list(good)


def _shorter(row: Row) -> Row:
    return dataclasses.replace(
        row,
        responses=row.responses[:2],
        prefer=[[0.0, 1.0], [0.0, 0.0]],
        good=[0.5, 0.0],
        bad=[0.0, 0.5],
        demo=[1.0, 0.0],
        scores=[1.0, 0.5],
        mass=None,
        wins=None,
        margins=None,
    )


@cache
def models() -> tuple[Any, Any]:
    """A reference and a policy that is likelier to say what the rows hold, so that no z0 is clamped."""
    policy, reference = (
        Scratch(hidden=16, layers=1, heads=2, max_length=64).build(World().tokenizer(), seed=3) for _ in "ab"
    )
    random = torch.Generator().manual_seed(9)
    with torch.no_grad():
        for weight in reference.parameters():
            weight += 0.4 * torch.randn(weight.shape, generator=random)
    return reference, policy


def epoch(
    case: str, tokens: int, ranks: tuple[int, int] = (0, 1), kind: type[OffPolicyModule] = OffPolicyModule
) -> list[Found]:
    """The steps of an epoch without an update between them; ``tokens``: what a micro-batch holds."""
    K, overrides = CASES[case]
    composition = composed(*overrides)
    arrow, scoring = OffPolicy.of(composition, composition.reference.given), Scoring()
    rank, world = ranks
    loader = StepLoader(
        made(K),
        Sizes(STEP, tokens, seed=1),
        Collator(0, arrow.prompt_edges),
        rank=rank,
        world_size=world,
        probes=ProbeRows(arrow.statistic_rows),
    )
    reference, policy = models()
    prepared = Prepared(standing(reference), scoring, "")
    module = kind(policy, arrow, scoring, prepared, composition.optimizer, 2)
    found, batches = [], list(loader)
    for start in range(0, len(batches), loader.micro_batches):
        policy.zero_grad()
        shares = [module.loss(batch) for batch in batches[start : start + loader.micro_batches]]
        total = torch.stack(shares).sum()
        total.backward()
        gradient = torch.cat([p.grad.flatten() for p in policy.parameters() if p.grad is not None])
        memory = torch.cat([module.objective_memory, module.weighting_memory]).clone()
        found.append(Found(total.item(), gradient.clone(), memory))
    return found


def main(folder: Path, rank: int) -> None:
    store = f"file://{folder / 'store'}"
    torch.distributed.init_process_group("gloo", init_method=store, rank=rank, world_size=2)
    found = {case: [vars(step) for step in epoch(case, 24, (rank, 2))] for case in CASES}
    torch.save(found, folder / f"rank-{rank}.pt")
    torch.distributed.destroy_process_group()


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
