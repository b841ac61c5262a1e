"""beta-DPO: averages over steps, the draw of rows, the step's beta; by hand and by enumeration."""

from __future__ import annotations

import dataclasses
import itertools
import math
from typing import Any

import pytest
import torch
from torch import Tensor

from tests.objective.oracles import softplus
from tests.stages.test_step_zero import composed
from xpo.arrow import OffPolicy, Scores, Steps
from xpo.compose import Refused, build, compose_config
from xpo.contracts import Step
from xpo.testing import Toy, toy
from xpo.weighting.batch_beta import BatchBeta


def step_of(gaps: list[float], memory: list[float], weights: list[float] | None = None) -> Step:
    weight = torch.tensor(weights or [1.0] * len(gaps), dtype=torch.float64)
    values = torch.tensor(gaps, dtype=torch.float64)[:, None]
    return Step(values, weight, torch.arange(len(gaps)), torch.tensor(memory, dtype=torch.float64))


def pairs(gaps: list[float], beta: float) -> Toy:
    """Hard pairs, rewards at this beta."""
    t = toy(rows=len(gaps), responses=2, ragged=False)
    hard = torch.tensor([[0.0, 1.0], [0.0, 0.0]], dtype=torch.float64).expand(len(gaps), 2, 2)
    t = t.replace(prefer_BKK=hard, weight_B=torch.ones(len(gaps)).double())
    rewards = torch.tensor([[beta * (gap + 0.3), beta * 0.3] for gap in gaps], dtype=torch.float64)
    return dataclasses.replace(t, reward_BK=rewards)


def test_gaps_are_those_at_beta_one():
    t = pairs([2.0, -1.0], beta=0.25)
    found = BatchBeta().observe(t.reward_BK, t.reward_BK[:, 0], t.batch, 0.25)
    assert found[:, 0].tolist() == pytest.approx([2.0, -1.0])


def test_gap_of_a_list_is_the_mean_over_its_pairs():
    """Gaps 3 - 1, 3 - 0 and 1 - 0 of a list of three; what is absent is not read."""
    t = toy(rows=1, responses=4, ragged=False)
    prefer = torch.zeros(1, 4, 4).double()
    prefer[0, 0, 1] = prefer[0, 0, 2] = prefer[0, 1, 2] = 1 / 3
    mask = t.batch.mask_BKT.clone()
    mask[0, 3] = False
    reward = torch.tensor([[3.0, 1.0, 0.0, math.nan]]).double()
    found = BatchBeta().observe(reward, reward[:, 0], t.replace(prefer_BKK=prefer, mask_BKT=mask).batch, 1.0)
    assert found.item() == pytest.approx(2.0)


def test_averages_by_hand():
    """Mean 2, standard deviation sqrt(2 / 3), twice: 0.1 of them, then 0.19."""
    step = step_of([1.0, 2.0, 3.0], [0.0, 0.0, 0.0])
    once = BatchBeta().remember(step)
    assert once.tolist() == pytest.approx([0.2, 0.0816496581, 1.0])
    twice = BatchBeta().remember(dataclasses.replace(step, memory=once))
    assert twice.tolist() == pytest.approx([0.38, 0.1551343504, 2.0])
    weighted = BatchBeta(momentum=0.0).remember(step_of([1.0, 4.0], [9.0, 9.0, 5.0], [2.0, 1.0]))
    assert weighted.tolist() == pytest.approx([2.0, math.sqrt(2.0), 6.0])


@pytest.mark.parametrize(
    ("rows", "kept"), [(1, 1), (2, 2), (3, 2), (4, 3), (5, 4), (8, 6), (64, 51), (10, 8)]
)
def test_how_many_rows_are_kept(rows: int, kept: int) -> None:
    step = step_of([0.1 * n for n in range(rows)], [0.0, 1.0, 3.0])
    assert int(BatchBeta()._kept(step).sum()) == kept
    assert int(BatchBeta(left_out=0.99)._kept(step).sum()) == 1
    assert int(BatchBeta(left_out=0.0)._kept(step).sum()) == rows


def test_rows_are_drawn_with_the_published_odds():
    """Two of four without replacement: the frequency of every set against its probability."""
    gaps, draws = [0.0, 1.0, 1.5, -2.5], 3000
    odds = [math.exp(-((gap - 0.5) ** 2) / 2) for gap in gaps]
    counts = dict.fromkeys(itertools.combinations(range(4), 2), 0)
    for number in range(draws):
        kept = BatchBeta(left_out=0.5)._kept(step_of(gaps, [0.5, 1.0, float(number)]))
        counts[tuple(kept.nonzero()[:, 0].tolist())] += 1  # type: ignore[index]
    for (a, b), count in counts.items():
        total = sum(odds)
        chance = odds[a] / total * odds[b] / (total - odds[a]) + odds[b] / total * odds[a] / (total - odds[b])
        assert count / draws == pytest.approx(chance, abs=4 * math.sqrt(chance * (1 - chance) / draws) + 1e-3)


def test_the_draw_is_that_of_the_step():
    gaps = torch.randn(40, generator=torch.Generator().manual_seed(0)).tolist()
    one, same, other = (BatchBeta()._kept(step_of(gaps, [0.0, 1.0, n])) for n in (7.0, 7.0, 8.0))
    assert torch.equal(one, same) and not torch.equal(one, other)


def test_equal_gaps_and_no_history_are_no_division_by_zero():
    step = step_of([0.0] * 5, [0.0, 0.0, 0.0])
    assert int(BatchBeta()._kept(step).sum()) == 4
    t = pairs([0.0] * 5, 0.1)
    assert BatchBeta().rewards(t.reward_BK, step, 0.1).tolist() == t.reward_BK.tolist()


def test_beta_by_hand():
    """All kept, mean gap 2, M0 0.5: 0.1 (1 + 0.6 * 1.5) = 0.19; far below the mean it is the floor."""
    weighting = BatchBeta(left_out=0.0)
    reward = torch.tensor([[0.1, -0.3]]).double()
    high = weighting.rewards(reward, step_of([1.0, 3.0], [0.5, 1.0, 1.0]), 0.1)
    assert high.tolist() == [pytest.approx([0.19, -0.57])]
    low = weighting.rewards(reward, step_of([-9.0, -9.0], [0.5, 1.0, 1.0]), 0.1)
    assert low.tolist() == [pytest.approx([0.001, -0.003])]


def arrow_and_step(gaps: list[float], memory: list[float], *overrides: str) -> tuple[OffPolicy, Toy, Steps]:
    composition = composed("algo=beta_dpo", *overrides)
    arrow = OffPolicy.of(composition, True)
    t = pairs(gaps, 1.0)
    mask = torch.zeros_like(t.batch.mask_BKT)
    mask[:, :, 0] = True
    t = t.replace(mask_BKT=mask, totals=dataclasses.replace(t.batch.totals, rows=float(len(gaps))))
    logp = torch.zeros_like(t.logp_BKT)
    logp[:, :, 0] = t.reward_BK
    t = dataclasses.replace(t, logp_BKT=logp, ref_logp_BKT=torch.zeros_like(logp))
    table = arrow.weighed(t.batch, Scores(t.logp_BKT, t.ref_logp_BKT), None)
    step = Step(table, t.batch.weight_B, t.batch.index_B, torch.tensor(memory, dtype=torch.float64))
    return arrow, t, Steps(None, step)


def test_the_whole_preset_against_a_loop():
    gaps = [1.0, -0.5, 3.0, 0.7, 0.2]
    arrow, t, steps = arrow_and_step(gaps, [0.4, 1.1, 5.0])
    kept = [gap for gap, keep in zip(gaps, arrow.weighting._kept(steps.weighting), strict=True) if keep]
    assert len(kept) == 4
    beta = 0.1 * (1 + 0.6 * (sum(kept) / 4 - 0.4))
    expected = sum(softplus(-beta * gap) for gap in kept) / 4
    found = arrow(t.batch, Scores(t.logp_BKT, t.ref_logp_BKT), steps).share
    assert found.item() == pytest.approx(expected)


def test_without_filter_and_slope_it_is_dpo():
    overrides = ("weighting.alpha=0", "weighting.left_out=0")
    arrow, t, steps = arrow_and_step([1.0, -0.5, 3.0], [0.4, 1.1, 5.0], *overrides)
    dpo = OffPolicy.of(composed("algo=dpo"), True)
    scores = Scores(t.logp_BKT, t.ref_logp_BKT)
    assert arrow(t.batch, scores, steps).share.item() == pytest.approx(dpo(t.batch, scores).share.item())


def test_at_the_reference():
    arrow, t, steps = arrow_and_step([0.0] * 4, [0.0, 0.0, 1.0])
    assert arrow(t.batch, Scores(t.logp_BKT, t.ref_logp_BKT), steps).share.item() == pytest.approx(
        math.log(2)
    )


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"alpha": -0.1}, "alpha must be at least 0"),
        ({"left_out": 1.0}, "left_out must be at least 0 and below 1"),
        ({"momentum": math.nan}, "momentum must be at least 0 and below 1"),
    ],
)
def test_ranges(fields: dict[str, float], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        BatchBeta(**fields)


@pytest.mark.parametrize(
    ("overrides", "words"),
    [
        (["algo=beta_dpo", "data.mode=population"], "weighs rows of drawn responses"),
        (["algo=ipo", "weighting=batch_beta", "data.mode=sampled"], "fixes the scale of the reward"),
        (["algo=kto", "weighting=batch_beta", "data.mode=sampled"], "comparisons"),
        (["algo=aot", "weighting=batch_beta", "data.mode=sampled"], "matches the rows"),
        (
            ["algo=kto", "feedback=preference", "arity=pair", "weighting=batch_beta", "data.mode=sampled"],
            "statistic of rewards at the composed beta",
        ),
    ],
)
def test_combinations_without_meaning(overrides: list[str], words: str) -> None:
    with pytest.raises(Refused, match=words):
        build(compose_config(overrides))


# --- broken variants ------------------------------------------------------------------------------------


@dataclasses.dataclass(frozen=True)
class ScaledGaps(BatchBeta):
    """M at beta, not at 1."""

    def observe(self, reward_BK: Tensor, *given: Any) -> Tensor:
        return super().observe(reward_BK, given[0], given[1], 1.0)


@dataclasses.dataclass(frozen=True)
class SumOverKept(BatchBeta):
    """The sum over what is kept, divided by all."""

    def losses(self, loss_B: Tensor, batch: Any, step: Any) -> Tensor:
        return loss_B * self._kept(step)[step.place_B(batch.index_B)]


@dataclasses.dataclass(frozen=True)
class MeanOverAll(BatchBeta):
    """Beta from rows that are left out, too."""

    def _kept_gap(self, step: Step) -> Tensor:
        return step.mean_F()[0]


@dataclasses.dataclass(frozen=True)
class NoHistory(BatchBeta):
    """Beta as if the usual gap were 0."""

    def rewards(self, reward_BK: Tensor, step: Any, beta: float) -> Tensor:
        memory = step.memory * torch.tensor([0.0, 1.0, 1.0])
        return reward_BK * (1 + self.alpha * (self._kept_gap(step) - memory[0]))


@pytest.mark.parametrize("kind", [ScaledGaps, SumOverKept, MeanOverAll, NoHistory])
def test_mistakes_are_told_from_the_loop(kind: type[BatchBeta]) -> None:
    gaps = [1.0, -0.5, 3.0, 0.7, 0.2]
    right, t, steps = arrow_and_step(gaps, [0.4, 1.1, 5.0])
    scores = Scores(t.logp_BKT, t.ref_logp_BKT)
    broken = dataclasses.replace(right, weighting=kind())
    table = broken.weighed(t.batch, scores, None)
    assert steps.weighting is not None
    other = Steps(None, dataclasses.replace(steps.weighting, values_NF=table))
    values = [part(t.batch, scores, seen).share.item() for part, seen in ((right, steps), (broken, other))]
    assert values[0] != pytest.approx(values[1], rel=1e-6)
