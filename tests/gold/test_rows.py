"""Population rows against loops and Monte Carlo, drawn rows against frequencies."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import Tensor

from xpo.annotator.gold import Gold as GoldAnnotator
from xpo.gold.labels import LabelModel
from xpo.gold.rows import (
    Wanted,
    demonstration_rows,
    draw,
    imitation_rows,
    list_rows,
    population_rows,
    probe_rows,
    records,
)
from xpo.gold.world import World


def sigmoid(x: float) -> float:
    return 1 / (1 + math.exp(-x))


@pytest.mark.parametrize("noise", [0.0, 0.2])
def test_population_masses_by_loops(world: World, ref: Tensor, noise: float) -> None:
    rows = population_rows(world, ref, labels=LabelModel(noise=noise).of_world(world, ref))
    assert len(rows) == world.prompts
    for x, row in enumerate(rows):
        p = [math.exp(v) for v in ref[x].tolist()]
        r = world.reward_XN[x].tolist()
        mean = sum(a * b for a, b in zip(p, r, strict=True))
        assert (
            row.prefer is not None and row.good is not None and row.bad is not None and row.demo is not None
        )
        total = 0.0
        for i in range(world.size):
            for j in range(world.size):
                win = (1 - noise) * sigmoid(r[i] - r[j]) + noise * sigmoid(r[j] - r[i])
                total += p[i] * p[j] * win
        for i in range(world.size):
            winner = 0.0
            for j in range(world.size):
                win = (1 - noise) * sigmoid(r[i] - r[j]) + noise * sigmoid(r[j] - r[i])
                assert row.prefer[i][j] == pytest.approx(p[i] * p[j] * win / total, abs=1e-12)
                winner += p[i] * p[j] * win / total
            good = (1 - noise) * sigmoid(r[i] - mean) + noise * sigmoid(mean - r[i])
            assert row.good[i] == pytest.approx(p[i] * good, abs=1e-12)
            assert row.bad[i] == pytest.approx(p[i] * (1 - good), abs=1e-12)
            assert row.demo[i] == pytest.approx(winner, abs=1e-12)
        assert np.asarray(row.prefer).sum() == pytest.approx(1) and sum(row.demo) == pytest.approx(1)
        assert sum(row.good) + sum(row.bad) == pytest.approx(1)


def test_labels_from_pairs_are_the_two_sides(world: World, ref: Tensor) -> None:
    for row in population_rows(world, ref, Wanted(labels_from_pairs=True)):
        prefer = np.asarray(row.prefer)
        assert np.allclose(row.good, prefer.sum(1) / 2) and np.allclose(row.bad, prefer.sum(0) / 2)


def test_only_what_is_wanted_is_carried(world: World, ref: Tensor) -> None:
    (row, *_) = population_rows(world, ref, Wanted(frozenset({"labels"})))
    assert row.good is not None and row.bad is not None
    assert row.prefer is row.demo is row.scores is row.wins is None


def test_demonstrations_are_the_base_policy(world: World) -> None:
    for x, row in enumerate(demonstration_rows(world)):
        assert row.demo is not None
        assert list(row.demo) == pytest.approx(world.base_logp_XN[x].exp().tolist())


def test_probes_are_the_mean_of_the_other_prompts(world: World, ref: Tensor) -> None:
    masses = [row.demo for row in probe_rows(world, ref)]
    for i in range(world.size):
        expected = (math.exp(ref[1, i]) + math.exp(ref[2, i])) / 2
        assert masses[0] is not None and masses[0][i] == pytest.approx(expected, abs=1e-12)
    with pytest.raises(ValueError, match="at least 2 prompts"):
        probe_rows(World(prompts=1, symbols=2, max_symbols=1), ref[:1, :2])


def test_probes_are_the_limit_of_drawn_mismatched_pairs(world: World, ref: Tensor) -> None:
    generator = torch.Generator().manual_seed(0)
    n = 100_000
    drawn = torch.stack([torch.multinomial(p.exp(), n, replacement=True, generator=generator) for p in ref])
    other = torch.randint(1, world.prompts, (n,), generator=generator)
    for x, row in enumerate(probe_rows(world, ref)):
        mismatched = drawn[(x + other) % world.prompts, torch.arange(n)]
        share = torch.bincount(mismatched, minlength=world.size) / n
        assert row.demo is not None
        assert torch.allclose(share, torch.tensor(row.demo), atol=6 / math.sqrt(n))


def test_lists_are_sorted_distinct_and_exact(world: World, ref: Tensor) -> None:
    draws = draw(world, ref, 4, 10, seed=1)
    assert draws.shape == (3, 4, 4)  # 10 lists round up to 4 for each of 3 prompts
    rows = list_rows(world, draws)
    assert len(rows) == 12 and [row.prompt for row in rows[:3]] == list(world.prompt_ids)
    index = {ids: i for i, ids in enumerate(world.response_ids)}
    for n, row in enumerate(rows):
        picked = [index[tuple(ids)] for ids in row.responses]
        rewards = world.reward_XN[n % 3, picked].tolist()
        assert len(set(picked)) == 4 and rewards == sorted(rewards, reverse=True) == list(row.scores or ())
        assert row.prefer is not None and row.wins is not None and row.good is not None
        assert row.prefer[0][1] == pytest.approx(sigmoid(rewards[0] - rewards[1]) / 6)
        assert row.wins[2][1] == pytest.approx(sigmoid(rewards[2] - rewards[1]))
        assert np.asarray(row.prefer).sum() == pytest.approx(1) and np.trace(np.asarray(row.prefer)) == 0
        assert row.good[0] == pytest.approx(sum(row.prefer[0]) / 2)
    with pytest.raises(ValueError, match="99 distinct responses"):
        draw(world, ref, 99, 1, seed=0)


def test_imitation_rows_are_drawn_from_the_base_policy(world: World) -> None:
    n = 60_000
    rows = imitation_rows(world, draw(world, world.base_logp_XN, 1, n, seed=2)[..., 0])
    index = {ids: i for i, ids in enumerate(world.response_ids)}
    mine = [index[tuple(row.responses[0])] for row in rows if row.prompt == world.prompt_ids[1]]
    share = torch.bincount(torch.tensor(mine), minlength=world.size) / len(mine)
    assert torch.allclose(share.double(), world.base_logp_XN[1].exp(), atol=6 / math.sqrt(len(mine)))


@pytest.mark.parametrize("noise", [0.0, 0.3])
def test_drawn_labels_have_the_worlds_frequencies(noise: float) -> None:
    """The ordered pair (i, j) wins as often as Bradley-Terry says, flips included."""
    world, i, j, n = World(prompts=1, symbols=3, max_symbols=2, seed=7), 2, 9, 20_000
    labelled = GoldAnnotator(noise=noise)(records(world, torch.tensor([[i, j]]).expand(1, n, 2)))
    gap = float(world.reward_XN[0, i] - world.reward_XN[0, j])
    win = (1 - noise) * sigmoid(gap) + noise * sigmoid(-gap)
    first = sum(record.scores[0] > record.scores[1] for record in labelled if record.scores) / n
    assert first == pytest.approx(win, abs=3 / math.sqrt(n))
    assert labelled[0].wins is not None and labelled[0].wins[0][1] == pytest.approx(win)
    mean = float(world.reward_XN[0, [i, j]].mean())
    for k, y in enumerate((i, j)):
        r = float(world.reward_XN[0, y])
        good = (1 - noise) * sigmoid(r - mean) + noise * sigmoid(mean - r)
        share = sum(record.labels[k] for record in labelled if record.labels) / n
        assert share == pytest.approx(good, abs=3 / math.sqrt(n))


def test_records_read_back_as_the_responses_they_were_drawn_as(world: World, ref: Tensor) -> None:
    draws = draw(world, ref, 2, 30, seed=3)
    tokenizer = world.tokenizer()
    for n, record in enumerate(records(world, draws)):
        x = n % world.prompts
        for response, i in zip(record.responses, draws[x, n // world.prompts].tolist(), strict=True):
            whole = tokenizer(f"{record.prompt}{response}").input_ids
            assert tuple(whole) + (tokenizer.eos_token_id,) == world.prompt_ids[x] + world.response_ids[i]
