"""In a tiny world every claim holds, and with its mutant built in its check fails."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from xpo.claims.claim import Claim, Metrics, all_claims
from xpo.claims.mutants import MUTANTS
from xpo.compose import build, compose_config
from xpo.stages.job import execute

TINY = (
    *("data=gold", "data.prompts=2", "data.max_symbols=2", "seed=0"),
    *("model.hidden=32", "model.layers=1", "trainer.log_every=1000", "eval.samples=0", "optimizer.lr=1e-2"),
)
STEPS = 300
CLAIMS = [claim for claim in all_claims() if claim.mutant is not None]


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


def trained(run: Sequence[str], out: Path, cache: Path) -> Metrics:
    sizes = (f"trainer.steps={STEPS}", "hp.sft.separate.steps=100", f"cache={cache}")
    large = any(item.startswith("trainer.batch_size=") and int(item[19:]) > 64 for item in run)
    few = ("trainer.batch_size=32",) if large else ()
    few += () if any(item.startswith("data.game=") for item in run) else ("data.symbols=3",)
    return execute(build(compose_config([*run, *TINY, *few, *sizes])), out)


def failed(claim: Claim, out: Path, cache: Path) -> list[str]:
    metrics = trained(claim.run, out / "run", cache)
    other = None if claim.against is None else trained(claim.against, out / "against", cache)
    return [check.metric for check in claim.checks if not check.holds(metrics, other)]


@pytest.mark.parametrize("claim", CLAIMS, ids=lambda claim: claim.name)
def test_claim_holds_and_its_mutant_is_caught(
    claim: Claim, tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert failed(claim, tmp_path / "right", cache) == []
    assert claim.mutant is not None
    MUTANTS[claim.mutant](monkeypatch.setattr)  # put back when the test ends
    assert failed(claim, tmp_path / "broken", cache) != []
