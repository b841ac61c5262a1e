"""In a tiny world a claim holds, and with its mutant built in its check fails."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from xpo.claims.claim import Claim, Metrics, all_claims
from xpo.claims.measure import late
from xpo.claims.mutants import MUTANTS
from xpo.compose import build, compose_config
from xpo.stages.job import execute

TINY = (
    *("data=gold", "data.prompts=2", "data.max_symbols=2", "seed=0"),
    *("model.hidden=32", "model.layers=1", "trainer.log_every=1000", "eval.samples=0", "optimizer.lr=1e-2"),
)
OF_ROWS = ("trainer.steps=300",)
OF_SAMPLES = ("trainer.steps=150", "trainer.batch_size=2", "sampling.responses=32")
"""Two prompts, 12 possible responses to each: few steps and samples say much there."""
EARNS = ("trainer.steps=50", "trainer.batch_size=2", "sampling.responses=16")
HOLDS = (
    *("trainer.steps=200", "trainer.batch_size=2", "sampling.responses=128", "eval.every=5"),
    *("data.seed=5", "reward.beta=0.5", "schedule.minibatches=1"),
    *("constraint.init=0.8", "constraint.lr=0.3", "optimizer.min_lr_ratio=0.15"),
)
"""A world whose optimum lies between the reference's reward and the highest, so that a cost that is nearly
right is a reward that is nearly right. The multiplier rests at 0.6; longer steps take it there in time."""
SIZES = {
    "grpo_reward": EARNS,
    "dapo_reward": EARNS,
    "gspo_reward": EARNS,
    "safe_rlhf_paper": HOLDS,
    "safe_rlhf_exact": HOLDS,
}
OF_RUN = {"ppo_ptx_retains": ("sft.weight=0.35",)}
"""What makes a run comparable with the one that it is against: here, as much reward."""


def samples(run: Sequence[str]) -> bool:
    """Whether a run draws the responses that it trains on."""
    return build(compose_config(list(run))).sampling.samples


OF_GIVEN, OF_DRAWN = (
    [claim for claim in all_claims() if claim.mutant is not None and samples(claim.run) == drawn]
    for drawn in (False, True)
)
"""Claims about given responses, and about drawn ones."""


def trained(claim: Claim, run: Sequence[str], out: Path, cache: Path) -> Metrics:
    gradient = build(compose_config(list(run))).objective.policy_gradient
    sizes = SIZES.get(claim.name, OF_SAMPLES if gradient else OF_ROWS)
    large = any(item.startswith("trainer.batch_size=") and int(item[19:]) > 64 for item in run)
    few = ("trainer.batch_size=32",) if large else ()
    few += () if any(item.startswith("data.game=") for item in run) else ("data.symbols=3",)
    config = compose_config([*run, *TINY, *few, *sizes, "hp.sft.separate.steps=100", f"cache={cache}"])
    metrics = execute(build(config), out)
    return {**metrics, **late(out)} if claim.late else metrics


def check(claim: Claim, tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The claim holds, and with its mutant it does not."""
    assert failed(claim, tmp_path / "right", cache) == []
    assert claim.mutant is not None
    MUTANTS[claim.mutant](monkeypatch.setattr)  # put back when the test ends
    assert failed(claim, tmp_path / "broken", cache) != []


def failed(claim: Claim, out: Path, cache: Path) -> list[str]:
    metrics = trained(claim, [*claim.run, *OF_RUN.get(claim.name, ())], out / "run", cache)
    other = None if claim.against is None else trained(claim, claim.against, out / "against", cache)
    return [check.metric for check in claim.checks if not check.holds(metrics, other)]
