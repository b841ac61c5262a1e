"""Evaluations in between change nothing of a training."""

from __future__ import annotations

from pathlib import Path

import torch

from tests.stages.tiny import SIZES, STAGE, run_here, weights, write_lists


def test_a_training_that_draws_does_not_depend_on_how_often_it_is_evaluated(tmp_path: Path) -> None:
    """Held-out rows draw rivals too."""
    data = write_lists(tmp_path / "lists.jsonl")
    shared = ("algo=cringe", *SIZES, *STAGE, f"data.path={data}", f"cache={tmp_path / 'cache'}")
    for name, every in (("never", "null"), ("always", "1")):
        run_here(tmp_path / name, *shared, "trainer.steps=4", "objective.top=9", f"eval.every={every}")
    ends = [weights(tmp_path / name) for name in ("never", "always")]
    assert all(torch.equal(ends[0][name], ends[1][name]) for name in ends[0])
