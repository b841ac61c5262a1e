"""Runs of claims: the real command's own functions in a few lasting processes, or, with a fault built in, the
real command in a process of its own. Metrics are read from ``summary.json``."""

from __future__ import annotations

import contextlib
import json
import multiprocessing
import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from concurrent.futures import Executor, Future, ProcessPoolExecutor, ThreadPoolExecutor
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
    """How claims are measured. ``steps`` cuts training short (dry run); ``broken`` builds the mutants in.

    ``worlds`` are measured beside the default one."""

    out: Path
    steps: int | None = None
    jobs: int = 1
    broken: bool = False
    worlds: tuple[int, ...] = WORLDS

    def shortened(self) -> tuple[str, ...]:
        """Overrides of a dry run."""
        if self.steps is None:
            return ()
        stages = (f"hp.sft.{stage}.steps={self.steps}" for stage in ("separate", "parallel"))
        return (f"trainer.steps={self.steps}", *stages)

    def variants(self) -> tuple[Variant, ...]:
        """All runs of a claim; of a dry run or of a mutant the first alone."""
        if self.steps is not None or self.broken:
            return (Variant(0),)
        return (*(Variant(seed) for seed in SEEDS), *(Variant(0, world) for world in self.worlds))


@dataclass(frozen=True)
class Outcome:
    """The metrics of one variant of a claim, and those of the run that it is compared with."""

    variant: Variant
    metrics: Metrics
    other: Metrics | None = None


def measure(
    claims: Sequence[Claim], plan: Plan, report: Callable[[str], None] = print
) -> dict[str, list[Outcome]]:
    """Run every variant of every claim, equal commands once; ``RuntimeError`` if a run fails."""
    context = multiprocessing.get_context("spawn")
    with ThreadPoolExecutor(plan.jobs) as pool, ProcessPoolExecutor(plan.jobs, context) as processes:
        runs = _Runs(plan, pool, processes, report)
        waiting = [
            (claim, variant, runs.of(claim, claim.run, variant), runs.against(claim, variant))
            for variant in plan.variants()  # all seeds of all claims before the other worlds
            for claim in claims
            if claim.can_fail or variant.world == 0
        ]
        found: dict[str, list[Outcome]] = {claim.name: [] for claim in claims}
        for claim, variant, run, other in waiting:
            compared = None if other is None else other.result()
            found[claim.name].append(Outcome(variant, run.result(), compared))
    return found


class _Runs:
    """The runs that were asked for; two claims with the same command share one."""

    def __init__(
        self, plan: Plan, pool: Executor, processes: Executor, report: Callable[[str], None]
    ) -> None:
        self._plan, self._pool, self._processes, self._report = plan, pool, processes, report
        self._started: dict[tuple[object, ...], Future[Metrics]] = {}

    def of(
        self, claim: Claim, overrides: Sequence[str], variant: Variant, suffix: str = ""
    ) -> Future[Metrics]:
        key = (claim.mutant if self._plan.broken else None, tuple(overrides), variant)
        if key not in self._started:
            folder = self._plan.out / claim.name / f"seed_{variant.seed}_world_{variant.world}{suffix}"
            self._started[key] = self._pool.submit(self._run, claim, overrides, variant, folder)
        return self._started[key]

    def against(self, claim: Claim, variant: Variant) -> Future[Metrics] | None:
        return None if claim.against is None else self.of(claim, claim.against, variant, "_against")

    def _run(self, claim: Claim, overrides: Sequence[str], variant: Variant, folder: Path) -> Metrics:
        broken = self._plan.broken and claim.mutant is not None
        arguments = [*overrides, *variant.overrides(), *self._plan.shortened()]
        if broken:
            program = [sys.executable, "-m", "xpo.claims.mutants", str(claim.mutant)]
            metrics = metrics_of(claim.name, [*program, *arguments, f"hydra.run.dir={folder}"], folder)
        else:
            metrics = self._processes.submit(run_here, claim.name, arguments, folder).result()
        if claim.late:
            metrics = {**metrics, **late(folder)}
        self._report(f"{claim.name}: seed {variant.seed}, world {variant.world}")
        return metrics


def run_here(claim: str, overrides: Sequence[str], folder: Path) -> dict[str, float]:
    """One run in this process, as the command would run it; what it prints goes to ``log.txt``."""
    from xpo.compose import build, compose_config
    from xpo.stages.job import execute

    folder.mkdir(parents=True, exist_ok=True)
    with open(folder / "log.txt", "w", encoding="utf-8") as log, contextlib.redirect_stdout(log):
        with contextlib.redirect_stderr(log):
            try:
                return execute(build(compose_config(list(overrides))), folder, argv=list(overrides))
            except Exception as error:
                raise RuntimeError(f"claim {claim}: {' '.join(overrides)} failed: {error}") from error


def late(folder: Path) -> dict[str, float]:
    """Means of what was evaluated in the last tenth of the steps."""
    lines = [json.loads(line) for line in (folder / "metrics.jsonl").read_text(encoding="utf-8").splitlines()]
    found = [line for line in lines if "gold/reward" in line]
    last = max(line["step"] for line in found)
    counted = [line for line in found if line["step"] > 0.9 * last]
    names = [name for name in counted[0] if isinstance(counted[0][name], float) and name != "time"]
    return {name: sum(line[name] for line in counted) / len(counted) for name in names}


def metrics_of(claim: str, arguments: Sequence[str], folder: Path) -> dict[str, float]:
    """Run a command that writes into ``folder``; ``RuntimeError`` with its last words if it fails."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        arguments, env=environment, capture_output=True, text=True, stdin=subprocess.DEVNULL
    )
    if done.returncode:
        tail = (done.stdout + done.stderr)[-2000:]
        raise RuntimeError(f"claim {claim}: {' '.join(arguments)} exited with {done.returncode}\n{tail}")
    return json.loads((folder / "summary.json").read_text(encoding="utf-8"))["metrics"]
