"""Every claim's command at two steps: it runs, and its checks find the metrics that they read."""

from __future__ import annotations

from pathlib import Path

import pytest

from xpo.claims.claim import Claim, all_claims
from xpo.compose import build, compose_config
from xpo.stages.job import execute


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


@pytest.mark.parametrize("claim", all_claims(), ids=lambda claim: claim.name)
def test_two_steps(claim: Claim, cache: Path, tmp_path: Path) -> None:
    short = ["trainer.steps=2", "hp.sft.separate.steps=2", "eval.samples=0", f"cache={cache}"]
    runs = [[*run, *short] for run in (claim.run, claim.against) if run is not None]
    few = [["data.records=500"] if "experiment=gold_sampled" in run else [] for run in runs]
    found = [
        execute(build(compose_config([*run, *fewer])), tmp_path / str(i))
        for i, (run, fewer) in enumerate(zip(runs, few, strict=True))
    ]
    for check in claim.checks:
        check.holds(found[0], found[-1])
