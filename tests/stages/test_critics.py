"""Runs that train a critic: with more micro-batches or ranks, stopped and resumed, exported, decoded.

What follows the policy (a critic's slow heads, a moving reference) belongs into checkpoints, of this step.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from tests.stages.test_whole_step import stopped_after
from tests.stages.tiny import SIZES, run_command, run_here, summary, weights, write_lists
from xpo.critic.decoding import FILE, load_decoding
from xpo.run import checkpoints

PRESETS = ("dro", "ilql")
QUICK = {
    "dro": ["critic.lr_scale=2"],
    "ilql": ["critic.every=1", "critic.polyak=0.3", "critic.beta=2"],
    "tr_dpo": ["reference.rate=0.3"],
}
FOLLOWS = {"dro": "critic.", "ilql": "critic.", "tr_dpo": "moving_reference."}


def arguments(folder: Path, preset: str, out: str, *more: str) -> list[str]:
    data = write_lists(folder / "lists.jsonl", 16)
    return [
        f"algo={preset}",
        f"data.path={data}",
        *SIZES,
        "sft=none",
        "optimizer.lr=0.1",
        "trainer.steps=6",
        f"cache={folder / out}-cache",
        *QUICK[preset],
        *more,
    ]


def ends(folder: Path) -> dict[str, torch.Tensor]:
    """What a run has learnt: the policy and, where it decodes, the critic's heads."""
    critic = folder / "model" / FILE
    return weights(folder) | (load_file(critic) if critic.is_file() else {})


@pytest.mark.parametrize("preset", FOLLOWS)
def test_a_resumed_run_ends_bit_by_bit_where_it_would_have(
    preset: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And one whose checkpoint forgets the critic, or the reference, does not."""
    whole, resumed, forgetful = (tmp_path / name for name in ("whole", "resumed", "forgetful"))
    run_here(whole, *arguments(tmp_path, preset, "whole"))
    for folder in (resumed, forgetful):
        overrides = arguments(tmp_path, preset, folder.name)
        with monkeypatch.context() as patch:
            if folder is forgetful:
                patch.setattr(checkpoints, "lean_names", _without(FOLLOWS[preset], checkpoints.lean_names))
            stopped_after(monkeypatch, 3, folder, *overrides)
        run_here(folder, *overrides)
    one, two, other = map(ends, (whole, resumed, forgetful))
    assert one.keys() == two.keys() and all(torch.equal(one[name], two[name]) for name in one)
    assert summary(whole)["metrics"] == summary(resumed)["metrics"]
    assert not all(torch.equal(one[name], other[name]) for name in one)


def _without(prefix: str, known: Callable[..., set[str]]) -> Callable[..., set[str]]:
    return lambda *given: {name for name in known(*given) if not name.startswith(prefix)}


@pytest.mark.parametrize("preset", PRESETS)
def test_micro_batches_and_ranks_learn_what_one_batch_does(preset: str, tmp_path: Path) -> None:
    whole, parts, ranks = (tmp_path / name for name in ("whole", "parts", "ranks"))
    run_here(whole, *arguments(tmp_path, preset, "whole"))
    run_here(parts, *arguments(tmp_path, preset, "parts", "trainer.tokens_per_micro_batch=64"))
    two = ["trainer.devices=2", "trainer.strategy=ddp", "trainer.threads=1", f"hydra.run.dir={ranks}"]
    done = run_command(*arguments(tmp_path, preset, "ranks", *two))
    assert done.returncode == 0, done.stdout + done.stderr
    one = ends(whole)
    for folder in (parts, ranks):
        assert summary(folder)["metrics"] == pytest.approx(summary(whole)["metrics"], rel=1e-3, abs=1e-4)
        for name, found in ends(folder).items():
            where = f"{folder.name} {name}: "
            torch.testing.assert_close(
                found, one[name], rtol=0, atol=1e-4, msg=lambda m, where=where: where + m
            )


def test_a_stage_of_imitation_has_no_critic(tmp_path: Path) -> None:
    """Its checkpoint knows none, whatever comes after it."""
    seen: list[set[str]] = []
    known = checkpoints.lean_names

    def noted(module: Any, *given: Any) -> set[str]:
        seen.append(known(module, *given))
        return seen[-1]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(checkpoints, "lean_names", noted)
        overrides = [a for a in arguments(tmp_path, "ilql", "out") if a != "sft=none"]
        more = ("sft.steps=1", "sft.batch_size=8", "trainer.checkpoint_every=1", "trainer.steps=1")
        run_here(tmp_path / "out", *overrides, *more)
    assert [any(name.startswith("critic.") for name in names) for names in seen] == [False, True]


def test_a_run_in_the_gold_world_is_measured_as_it_decodes(tmp_path: Path) -> None:
    """Quick slow heads and a large beta: more reward than the policy, which only imitates."""
    found = run_here(
        tmp_path / "run",
        "algo=ilql",
        "data.max_symbols=2",
        "data.symbols=4",
        "sft.steps=60",
        "trainer.steps=120",
        "trainer.threads=1",
        "critic.polyak=0.05",
        "critic.every=1",
        "critic.beta=8",
        f"cache={tmp_path / 'cache'}",
    )
    lines = [json.loads(line) for line in (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()]
    start = next(line for line in lines if line["stage"] == "align" and line["step"] == 0)
    assert start["gold/reward"] == pytest.approx(start["gold/without_critic/reward"], abs=1e-5)
    assert found["gold/without_critic/reward"] == pytest.approx(start["gold/reward"], abs=0.1)
    assert found["gold/reward"] > found["gold/without_critic/reward"] + 0.5
    samples = [json.loads(line) for line in (tmp_path / "run" / "samples.jsonl").read_text().splitlines()]
    assert {line["when"] for line in samples} == {"before", "after"}


def test_an_exported_model_decodes_by_its_card(tmp_path: Path) -> None:
    from transformers import AutoModelForCausalLM, AutoTokenizer

    run_here(tmp_path / "run", *arguments(tmp_path, "ilql", "run"))
    folder = tmp_path / "run" / "model"
    card = (folder / "README.md").read_text()
    assert "processor = load_decoding(folder, model)" in card and "logits_processor=[processor]" in card
    model: Any = AutoModelForCausalLM.from_pretrained(folder)
    tokenizer = AutoTokenizer.from_pretrained(folder)
    inputs = tokenizer("Say red:", return_tensors="pt")
    processor = load_decoding(folder, model)
    assert (
        model.generate(**inputs, logits_processor=[processor], do_sample=True, max_new_tokens=3).shape[0] == 1
    )
    run_here(tmp_path / "dro", *arguments(tmp_path, "dro", "dro"))
    assert not (tmp_path / "dro" / "model" / FILE).exists()
    assert "load_decoding" not in (tmp_path / "dro" / "model" / "README.md").read_text()
