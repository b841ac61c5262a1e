"""Beginnings of the gold world's responses: masses by enumeration, what is learnt, what is refused."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor

from xpo.compose import build, compose_config
from xpo.gold.labels import LabelModel
from xpo.gold.prefixes import prefix_batch, prefix_metrics, prefix_rows
from xpo.gold.world import World
from xpo.stages.job import execute

SMALL = ["data.prompts=2", "data.symbols=3", "data.max_symbols=2"]


def test_a_beginning_is_good_as_often_as_what_goes_on_from_it(world: World, ref: Tensor) -> None:
    labels = LabelModel(noise=0.1).of_world(world, ref)
    assert labels.good_K is not None
    for x, row in enumerate(prefix_rows(world, ref, labels)):
        assert row.good is not None and row.bad is not None
        assert sum(row.good) + sum(row.bad) == pytest.approx(1)
        steps = [len(y) for y in world.responses]
        mean = sum(p * n for p, n in zip(ref[x].exp().tolist(), steps, strict=True))
        assert row.weight == pytest.approx(mean)
        for k, response in enumerate(row.responses):
            after = [i for i, ids in enumerate(world.response_ids) if ids[: len(response)] == response]
            mass = sum(float(ref[x, i].exp()) for i in after)
            good = sum(float(ref[x, i].exp() * labels.good_K[x, i]) for i in after)
            assert (row.good[k] + row.bad[k]) * mean == pytest.approx(mass)
            assert row.good[k] * mean == pytest.approx(good)
            assert world.response_ids[0][-1] not in response, "the end is no step"


def test_who_knows_the_odds_has_no_error(world: World, ref: Tensor) -> None:
    batch = prefix_batch(prefix_rows(world, ref, LabelModel().of_world(world, ref)))
    assert batch.good_BK is not None and batch.bad_BK is not None
    truth = torch.logit(batch.good_BK / (batch.good_BK + batch.bad_BK))
    found = prefix_metrics(truth, batch)
    assert found["gold/step_error"] == pytest.approx(0, abs=1e-6)
    assert found["gold/step_log_loss"] == pytest.approx(found["gold/bayes_step_log_loss"], abs=1e-6)
    assert found["gold/step_accuracy"] == pytest.approx(found["gold/bayes_step_accuracy"])
    turned = prefix_metrics(-truth, batch)
    assert turned["gold/step_log_loss"] > found["gold/step_log_loss"] + 0.05
    even = prefix_metrics(torch.zeros_like(truth), batch)
    assert even["gold/step_log_loss"] == pytest.approx(0.6931471805599453)


def test_a_process_model_learns_the_odds_of_every_beginning(tmp_path: Path) -> None:
    sizes = ["optimizer.lr=0.01", "trainer.steps=200", "sft.steps=30", "logger=none", "model.hidden=32"]
    found = execute(
        build(compose_config(["algo=reward_prm", *SMALL, *sizes, f"cache={tmp_path}/cache"])), tmp_path
    )
    assert found["gold/step_error"] < 0.02
    assert found["gold/step_log_loss"] - found["gold/bayes_step_log_loss"] < 0.002
    assert found["gold/bayes_step_log_loss"] < 0.68  # there is something to learn


@pytest.mark.parametrize("setting", ["algo=reward_span", "annotator.noise=0.1"])
def test_these_work(setting: str) -> None:
    build(compose_config(["algo=reward_prm", setting]))
