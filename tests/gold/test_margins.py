"""In the gold world the data's margin is the exact difference of rewards, however rows are made."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from tests.gold.test_target import composed
from xpo.annotator.gold import Gold as Annotator
from xpo.arity.pair import Pair
from xpo.contracts import Row
from xpo.data.counts import Counts
from xpo.data.tokenize import tokenize
from xpo.data.truncate import Limits
from xpo.feedback.preference import Preference
from xpo.gold.labels import LabelModel
from xpo.gold.rows import draw, list_rows, population_rows, records
from xpo.gold.steps import Steps
from xpo.gold.target import population_target
from xpo.gold.world import World
from xpo.objective.clipped_logistic import ClippedLogistic
from xpo.objective.exponential import Exponential
from xpo.objective.quadratic import Quadratic
from xpo.objective.savage import Savage
from xpo.objective.squared import Squared
from xpo.objective.truncated_quadratic import TruncatedQuadratic
from xpo.reward.implicit import Implicit


def is_the_difference(world: World, rows: list[Row]) -> None:
    index = {tuple(ids): n for n, ids in enumerate(world.response_ids)}
    prompts = {tuple(ids): x for x, ids in enumerate(world.prompt_ids)}
    for row in rows:
        reward = [float(world.reward_XN[prompts[tuple(row.prompt)], index[tuple(y)]]) for y in row.responses]
        assert row.margins is not None
        expected = [[a - b for b in reward] for a in reward]
        assert np.allclose(np.asarray(row.margins), expected, atol=1e-12)


def test_population_lists_and_draws(world: World, ref: Tensor) -> None:
    is_the_difference(world, population_rows(world, ref))
    draws = draw(world, ref, 3, 9, seed=1)
    is_the_difference(world, list_rows(world, draws, LabelModel(noise=0.2)))
    counts = Counts()
    labelled = Annotator(noise=0.3)(records(world, draws))
    examples = Pair()(Preference()(labelled, counts), counts)
    rows = tokenize(examples, world.tokenizer(), Limits(), counts)
    assert len(rows) == 27
    is_the_difference(world, rows)  # flipped labels have a negative margin
    assert min(float(np.asarray(row.margins)[0, 1]) for row in rows) < 0


def test_steps_differ_by_their_values(world: World, ref: Tensor) -> None:
    steps = Steps.of(world, ref)
    for row in steps.rows():
        assert row.margins is not None and row.scores is not None
        assert row.margins[0][1] == pytest.approx(row.scores[0] - row.scores[1])
    for record in steps.records(12, seed=0):
        assert record.margins is not None and record.scores is not None
        assert record.margins[1][0] == pytest.approx(record.scores[1] - record.scores[0])


def target(world: World, ref: Tensor, objective: Any, beta: float = 0.5, **changed: Any) -> Tensor | None:
    found = population_target(world, ref, composed(objective=objective, reward=Implicit(beta), **changed))
    return None if found is None else found.logp_XN


def test_exponential_is_at_twice_the_beta_and_savage_at_beta(world: World, ref: Tensor) -> None:
    twice, once = target(world, ref, Exponential()), target(world, ref, Savage())
    assert twice is not None and once is not None
    assert torch.allclose(twice, torch.log_softmax(ref + world.reward_XN / 1.0, 1), atol=1e-9)
    assert torch.allclose(once, torch.log_softmax(ref + world.reward_XN / 0.5, 1), atol=1e-9)


def test_quadratic_is_ipo_at_half_the_beta(world: World, ref: Tensor) -> None:
    gpo, ipo = target(world, ref, Quadratic(), 0.5), target(world, ref, Squared(tau=0.25), 1.0)
    assert gpo is not None and ipo is not None and torch.allclose(gpo, ipo, atol=1e-9)


def test_no_target_where_the_limit_is_reached(world: World, ref: Tensor) -> None:
    largest = float((world.reward_XN.amax(1) - world.reward_XN.amin(1)).max())
    logistic = target(world, ref, Savage())
    within = target(world, ref, ClippedLogistic(largest + 0.01))
    assert within is not None and logistic is not None and torch.allclose(within, logistic)
    assert target(world, ref, ClippedLogistic(largest - 0.01)) is None
    rates_XN = 2 * (world.win_XNN @ ref.exp()[:, :, None]).squeeze(-1)
    inside = float((rates_XN.amax(1) - rates_XN.amin(1)).max()) < 1
    assert (target(world, ref, TruncatedQuadratic()) is not None) == inside
    assert target(World(), torch.log_softmax(World().base_logp_XN, 1), TruncatedQuadratic()) is None
