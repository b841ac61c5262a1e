"""A reference that draws responses and holds nobody: there is no divergence to tell of."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.stages.tiny import run_here

WORLD = ["data=gold", "data.prompts=2", "data.symbols=3", "data.max_symbols=2", "annotator=gold"]
SHORT = ["trainer.steps=2", "trainer.threads=1", "sft=none", "eval.samples=0", "logger=none"]


@pytest.mark.parametrize(
    "arguments",
    [
        ["algo=dapo", "sampling=reference", "sampling.responses=4", "reference=frozen"]
        + ["objective.truncation=2"],
        ["algo=nash_md", "divergence=none", "penalty=none"],
    ],
    ids=lambda found: found[0],
)
def test_it_draws_and_holds_nobody(tmp_path: Path, arguments: list[str]) -> None:
    run_here(tmp_path / "run", *arguments, *WORLD, *SHORT)
    lines = [json.loads(line) for line in (tmp_path / "run/metrics.jsonl").read_text().splitlines()]
    told = {key for line in lines for key in line}
    assert any(key.endswith("rollout/log_ratio") for key in told)
    assert not any(key.endswith("rollout/divergence") for key in told)
