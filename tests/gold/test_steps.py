"""Steps and demonstrations of the gold world, by enumeration."""

from __future__ import annotations

import math
from typing import Any

import pytest
from torch import Tensor

from xpo.compose import build, compose_config
from xpo.data.collate import Collator
from xpo.data.loader import totals_of
from xpo.gold.labels import LabelModel
from xpo.gold.rows import contrast_records, contrast_rows, draw
from xpo.gold.steps import Steps
from xpo.gold.world import World
from xpo.stages.job import execute

SMALL = ["data.prompts=2", "data.symbols=3", "data.max_symbols=2"]


def test_a_nodes_value_is_the_mean_reward_of_what_follows(world: World, ref: Tensor) -> None:
    steps = Steps.of(world, ref)
    for n, node in enumerate(world.responses):
        below = [i for i, y in enumerate(world.responses) if y[: len(node)] == node]
        mass = ref[0, below].double().exp()
        assert steps.mass_XN[0, n].item() == pytest.approx(mass.sum().item())
        mean = (mass * world.reward_XN[0, below]).sum() / mass.sum()
        assert steps.value_XN[0, n].item() == pytest.approx(mean.item())


def test_rows_of_steps_share_their_prefix_and_sum_to_1(world: World, ref: Tensor) -> None:
    rows = Steps.of(world, ref, LabelModel(noise=0.1)).rows()
    assert len(rows) == world.prompts * (1 + world.symbols)  # L = 2: no symbol yet, or one
    for row in rows:
        assert {tuple(r[: row.skip]) for r in row.responses} == {tuple(row.responses[0][: row.skip])}
        assert all(len(r) == row.skip + 1 for r in row.responses)
        assert row.prefer is not None and sum(map(sum, row.prefer)) == pytest.approx(1)
        best = max(range(len(row.responses)), key=lambda k: (row.scores or ())[k])
        wins = [sum(line[best] for line in row.prefer), sum(row.prefer[best])]
        assert wins[1] > wins[0], "the step of the highest value loses more than it wins"
    assert sum(row.weight for row in rows if row.skip == 0) == pytest.approx(world.prompts)


def test_shared_tokens_do_not_train(world: World, ref: Tensor) -> None:
    rows = Steps.of(world, ref).rows()
    late = [row for row in rows if row.skip == 1][:2]
    batch = Collator(0, support=world.support())(late, [0, 1], totals_of(late, 1))
    assert batch.mask_BKT[..., 0].sum() == 0 and batch.mask_BKT[..., 1].all()
    assert batch.token_BKT[..., :2].all() and batch.length_BK.eq(1).all()


def test_a_contrast_is_the_expert_against_the_reference(world: World, ref: Tensor) -> None:
    (row, *_) = contrast_rows(world, ref)
    weight = [math.exp(b + r) for b, r in zip(world.base_logp_XN[0], world.reward_XN[0], strict=True)]
    assert row.prefer is not None and row.demo is not None
    for i in (0, 3):
        expert = weight[i] / sum(weight)
        assert row.demo[i] == pytest.approx(expert)
        assert row.prefer[i][2] == pytest.approx(expert * ref[0, 2].double().exp().item())


def test_drawn_contrasts_name_their_demonstration(world: World, ref: Tensor) -> None:
    shown, own = draw(world, world.expert_logp_XN, 1, 8, 1), draw(world, ref, 2, 8, 2)
    for record in contrast_records(world, shown, own):
        assert record.ranks == (0, 1, 1) and record.scores is None


@pytest.mark.parametrize("mode", ["population", "sampled"])
def test_one_exact_round_of_self_play_ends_at_the_expert(mode: str, tmp_path: Any) -> None:
    run = ["algo=spin_step", "reward.beta=1", *SMALL, f"data.mode={mode}", f"cache={tmp_path}/cache"]
    steps = (
        ["trainer.steps=250", "sft.steps=60"] if mode == "population" else ["trainer.steps=2", "sft.steps=2"]
    )
    metrics = execute(build(compose_config([*run, *steps])), tmp_path / "run")
    if mode == "population":
        assert metrics["gold/kl_to_optimum"] < 0.01 and metrics["gold/gap_closed"] > 0.98


@pytest.mark.parametrize("mode", ["population", "sampled"])
def test_steps_raise_the_reward(mode: str, tmp_path: Any) -> None:
    run = ["algo=step_dpo", *SMALL, f"data.mode={mode}", f"cache={tmp_path}/cache", "sft.steps=60"]
    metrics = execute(
        build(compose_config([*run, "trainer.steps=60", "trainer.log_every=60"])), tmp_path / "run"
    )
    assert metrics["gold/reward_share"] > 0.2 and "gold/gap_closed" not in metrics


def test_what_the_world_cannot_draw_is_refused() -> None:
    from xpo.compose import Refused

    for wrong, said in (
        (["algo=step_dpo", "arity=list"], "pairs of steps"),
        (["algo=spin_step", "annotator.noise=0.1"], "nobody labels"),
        (["algo=spin_step", "reward_level=step"], "whole responses"),
    ):
        with pytest.raises(Refused, match=said):
            build(compose_config(wrong))
