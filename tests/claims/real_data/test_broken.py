"""On made-up rows with a plain cue the claims hold, and with every label flipped their checks fail."""

from __future__ import annotations

import json
import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from tests.stages.tiny import WORDS
from xpo.arrow import OffPolicy
from xpo.claims.mutants import MUTANTS
from xpo.claims.real_data.claim import Claim, Seed, judge
from xpo.claims.real_data.exported import gains, held_out_lists, mean_logps
from xpo.compose import build, compose_config
from xpo.stages.job import execute

TINY = (
    *(
        "model.hidden=32",
        "model.layers=1",
        "model.vocab_size=300",
        "model.max_length=128",
        "optimizer.lr=0.01",
    ),
    *("data=jsonl", "trainer.batch_size=8", "trainer.steps=40", "trainer.threads=1", "eval.samples=0"),
)
CUES = ("gladly", "perhaps", "never")  # the best answer's word first


def write(path: Path, count: int, seed: int, cues: Sequence[str]) -> Path:
    """Lists whose answers are alike but for one word, in a random order, scored by that word."""
    rng = random.Random(seed)
    rows = []
    for i in range(count):
        scored = [
            (1.0 - k / 2, f"{rng.choice(WORDS)} {cue} {rng.choice(WORDS)}") for k, cue in enumerate(cues)
        ]
        rng.shuffle(scored)
        scores, texts = zip(*scored, strict=True)
        rows.append(
            {"prompt": f"Question {i} about {rng.choice(WORDS)}:", "completions": texts, "scores": scores}
        )
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A finished run's folder and metrics; ``broken`` flips every label of the loss."""
    right = OffPolicy.losses

    def trained(name: str, *overrides: str, broken: bool = False) -> tuple[Path, dict[str, float]]:
        monkeypatch.setattr(OffPolicy, "losses", right)
        if broken:
            MUTANTS["flip"](monkeypatch.setattr)
        files = (f"data.path={tmp_path / 'train.jsonl'}", f"data.test_path={tmp_path / 'test.jsonl'}")
        out = tmp_path / name
        return out, execute(build(compose_config([*TINY, *overrides, *files, f"cache={out}-cache"])), out)

    return trained


def test_accuracy_above_chance(run: Any, tmp_path: Path) -> None:
    write(tmp_path / "train.jsonl", 64, 0, CUES[::2])
    write(tmp_path / "test.jsonl", 50, 1, CUES[::2])
    claim = Claim("a", "", "", (), "above_chance", "eval/rewards/accuracies")
    verdicts = []
    for name in ("right", "broken"):
        _, metrics = run(name, "algo=dpo", "sft.steps=10", broken=name == "broken")
        verdicts.append(judge(claim, [Seed(metrics, rows=50)]))
    assert verdicts[0].holds, verdicts[0].measured
    assert not verdicts[1].holds, verdicts[1].measured


def test_ranks_better(run: Any, tmp_path: Path) -> None:
    write(tmp_path / "train.jsonl", 64, 0, CUES)
    write(tmp_path / "test.jsonl", 50, 1, CUES)
    claim = Claim("b", "", "", (), "ranks_better", "eval/common/mean_logp_accuracy")
    # after one step nothing is imitated yet
    other, _ = run("other", "algo=sft", "trainer.steps=1")
    verdicts = []
    for name in ("right", "broken"):
        mine, metrics = run(name, "algo=pro", "hp.sft.merged.weight=1e-3", broken=name == "broken")
        lists = held_out_lists(mine)
        values = mean_logps(mine / "model", lists), mean_logps(other / "model", lists)
        verdicts.append(judge(claim, [Seed(metrics, 50, gains(*values, lists))]))
    assert verdicts[0].holds, verdicts[0].measured
    assert not verdicts[1].holds, verdicts[1].measured
