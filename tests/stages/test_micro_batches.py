"""What fits in memory at once does not change what is learnt: one micro-batch of 8 rows, or 8 of one."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from tests.on_policy.counting import asked, counted
from tests.stages.tiny import SIZES, STAGE, learns_steps, run_here, weights, write_lists, write_steps
from xpo.compose import build, compose_config
from xpo.compose.compose import option_files

PRESETS = option_files("algo")
SAMPLED = ("sampling.max_new_tokens=6",)
"""Samples do not depend on what fits: each prompt's random numbers are its own."""
MORE = {
    "active": ("sft=none", "query.budget=2"),  # nothing is labelled before the first round
    "sppo": ("reward.beta=1.0",),  # targets of 500 nats leave nothing but rounding of small gradients
    "iterative_rpo": ("sampling.responses=6",),
    "rso": ("sampling.responses=16",),
    "slic_hf_rank": ("sampling.responses=4",),
    "sandbox": (
        *("model.max_length=2048", "sampling.max_critique_tokens=4", "sampling.responses=2"),
        *("sampling.peers=1", "sampling.agents=8", "sampling.scores=observer"),
    ),
}
"""What agents are shown is longer than these rows, and random weights rate nothing."""


@pytest.mark.parametrize("preset", PRESETS)
def test_one_micro_batch_equals_eight(preset: str, tmp_path: Path) -> None:
    data = tmp_path / "lists.jsonl"
    ends, counts = [], []
    for budget in (100_000, 1):
        out = tmp_path / str(budget)
        base = [
            f"algo={preset}",
            f"data.path={data}",
            *SIZES,
            f"cache={out / 'cache'}",
            *asked(preset, str(data)),
            *MORE.get(preset, ()),
        ]
        config = compose_config(base)
        base += [f"trainer.steps={max(2, config['schedule'].get('rounds', 1))}"]
        if config["pretraining"]["name"] != "none":
            base += [f"data.pretraining={data}", "pretraining.steps=2", "pretraining.batch_size=8"]
        composition = build(compose_config(base))
        if learns_steps(composition):
            write_steps(data)
        else:
            write_lists(data, labels=config["feedback"].get("labels") == "data")
        if not composition.margin.difference:
            pytest.skip(
                "its slope jumps at the reference, where the run begins and rounding decides the side"
            )
        if composition.sft.stage:
            base += STAGE
        base += [f"trainer.tokens_per_micro_batch={budget}"]
        if composition.sampling.samples:
            counted(compose_config([*base, *SAMPLED]), out)
        else:
            run_here(out, *base)
        counts.append(json.loads((out / "manifest.json").read_text())["sizes"]["micro_batches_per_step"])
        ends.append(weights(out))
    assert counts[0] == 1 and counts[1] > 1
    assert composition.sampling.samples or counts[1] == 8
    for name, whole in ends[0].items():
        # Adam divides a gradient by its own size: where it is all rounding, a weight moves by that
        torch.testing.assert_close(ends[1][name], whole, rtol=0, atol=3e-5, msg=lambda m, n=name: f"{n}: {m}")
