"""Runs of claims: the real command, one process each, its metrics read from ``summary.json``."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from xpo.claims.claim import Claim, Metrics

SEEDS = (0, 1, 2)
WORLDS = (1, 2)
"""Other worlds of the gold data, each run with seed 0."""


@dataclass(frozen=True)
class Variant:
    """One of a claim's runs: a seed of the default world, or seed 0 of another."""

    seed: int
    world: int = 0

    def overrides(self) -> tuple[str, ...]:
        return ("data=gold", f"seed={self.seed}", f"data.seed={self.world}")


@dataclass(frozen=True)
class Plan:
    """How claims are measured. ``steps`` cuts training short (dry run); ``broken`` builds the mutants in."""

    out: Path
    steps: int | None = None
    jobs: int = 1
    broken: bool = False

    def variants(self) -> tuple[Variant, ...]:
        """All runs of a claim; of a dry run or of a mutant the first alone."""
        if self.steps is not None or self.broken:
            return (Variant(0),)
        return (*(Variant(seed) for seed in SEEDS), *(Variant(0, world) for world in WORLDS))


@dataclass(frozen=True)
class Outcome:
    """The metrics of one variant of a claim, and those of the run that it is compared with."""

    variant: Variant
    metrics: Metrics
    other: Metrics | None = None


def measure(
    claims: Sequence[Claim], plan: Plan, report: Callable[[str], None] = print
) -> dict[str, list[Outcome]]:
    """Run every variant of every claim; ``RuntimeError`` with the end of its output for a run that fails."""
    with ThreadPoolExecutor(plan.jobs) as pool:
        waiting = [
            (claim.name, pool.submit(_outcome, claim, variant, plan, report))
            for claim in claims
            for variant in plan.variants()
        ]
        found: dict[str, list[Outcome]] = {claim.name: [] for claim in claims}
        for name, outcome in waiting:
            found[name].append(outcome.result())
    return found


def _outcome(claim: Claim, variant: Variant, plan: Plan, report: Callable[[str], None]) -> Outcome:
    folder = plan.out / claim.name / f"seed_{variant.seed}_world_{variant.world}"
    metrics = _run(claim, claim.run, variant, plan, folder)
    other = None
    if claim.against is not None:
        other = _run(claim, claim.against, variant, plan, folder.with_name(f"{folder.name}_against"))
    report(f"{claim.name}: seed {variant.seed}, world {variant.world}")
    return Outcome(variant, metrics, other)


def _run(claim: Claim, overrides: Sequence[str], variant: Variant, plan: Plan, folder: Path) -> Metrics:
    steps = (
        () if plan.steps is None else (f"trainer.steps={plan.steps}", f"hp.sft.separate.steps={plan.steps}")
    )
    arguments = [*_program(claim, plan), *overrides, *variant.overrides(), *steps, f"hydra.run.dir={folder}"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        arguments, env=environment, capture_output=True, text=True, stdin=subprocess.DEVNULL
    )
    if done.returncode:
        tail = (done.stdout + done.stderr)[-2000:]
        raise RuntimeError(f"claim {claim.name}: {' '.join(arguments)} exited with {done.returncode}\n{tail}")
    return json.loads((folder / "summary.json").read_text(encoding="utf-8"))["metrics"]


def _program(claim: Claim, plan: Plan) -> Iterator[str]:
    yield from (sys.executable, "-m")
    if plan.broken and claim.mutant is not None:
        yield from ("xpo.claims.mutants", claim.mutant)
    else:
        yield "xpo"
