"""The claims' runs on public preference data, cut to two steps: each ends, and leaves a model that loads."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
import torch

from xpo.claims.real_data.__main__ import main
from xpo.claims.real_data.claim import Claim, load_claims
from xpo.claims.real_data.exported import answer, gains, held_out_lists, load_exported, mean_logps
from xpo.claims.real_data.rewards import held_out_records, rewards
from xpo.claims.real_data.statistics import ranking_accuracy
from xpo.compose import build, compose_config
from xpo.stages.job import execute

QUICK = ("data.limit=40", "eval.rows=12", "eval.samples=1", "trainer.steps=2", "++hp.sft.separate.steps=2")
CLAIMS = load_claims()


@pytest.fixture(scope="module")
def real() -> Path:
    folder = os.environ.get("XPO_TEST_DATA")
    if not folder:
        pytest.skip("XPO_TEST_DATA names no folder with real data")
    return Path(folder)


def quick_run(claim: Claim, real: Path, out: Path) -> Path:
    files = [
        f"data.path={real / claim.data}.train.jsonl.gz",
        f"data.test_path={real / claim.data}.test.jsonl.gz",
    ]
    other = out / "against"
    for overrides, folder in ((claim.against, other), (claim.run, out / "run")):
        if overrides is not None:
            parts = [part.replace("{against}", str(other)) for part in overrides]
            execute(build(compose_config([*parts, *files, *QUICK, f"cache={out}/cache"])), folder)
    return out / "run"


@pytest.mark.parametrize("claim", CLAIMS, ids=lambda claim: claim.name)
def test_runs_to_its_end_and_exports(claim: Claim, real: Path, tmp_path: Path) -> None:
    run = quick_run(claim, real, tmp_path)
    summary = json.loads((run / "summary.json").read_text())
    assert summary["status"] == "done" and claim.metric in summary["metrics"]
    if claim.rewards:
        (found,) = rewards(run / "model", held_out_records(run)[:1])
        assert len(found) > 1 and len(set(found)) > 1
    else:
        assert answer(run / "model", "Why is the sky blue?")
    assert (run / "model" / "README.md").read_text().startswith("---")


def test_means_of_an_exported_model_are_those_of_the_run(real: Path, tmp_path: Path) -> None:
    """Through transformers alone, row by row: the metric of the run's packed scoring pass comes out."""
    (claim,) = (claim for claim in CLAIMS if claim.against is not None)
    run = quick_run(claim, real, tmp_path)
    lists = held_out_lists(run)[:12]
    values = mean_logps(run / "model", lists)
    found = [ranking_accuracy(v, row.scores or ()) for v, row in zip(values, lists, strict=True)]
    reported = json.loads((run / "summary.json").read_text())["metrics"][claim.metric]
    assert sum(a for a in found if a is not None) / 12 == pytest.approx(reported, abs=0.01)
    assert gains(values, values, lists) == [0.0] * 12
    model, _ = load_exported(run / "model")
    row = lists[0]
    one = torch.tensor([[*row.prompt, *row.responses[0]]])
    with torch.no_grad():
        logits_TV = model(one).logits[0, len(row.prompt) - 1 : -1]
    picked = torch.distributions.Categorical(logits=logits_TV).log_prob(one[0, len(row.prompt) :])
    assert values[0][0] == pytest.approx(picked.mean().item(), abs=1e-5)


def test_the_command_prints_a_table(real: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    name = CLAIMS[0].name
    assert main([str(real), name, "--steps", "2", "--seeds", "1", "--out", str(tmp_path)]) == 0
    assert CLAIMS[0].says in capsys.readouterr().out
    assert (tmp_path / name / "seed_0" / "summary.json").is_file()
