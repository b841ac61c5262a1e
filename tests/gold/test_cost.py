"""The world's known cost: by hand, where it is 0, and how it stands to the reward."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from xpo.annotator.gold import Gold
from xpo.contracts import StepTotals
from xpo.data.collate import Collator
from xpo.gold import constants
from xpo.gold.labels import PLAIN
from xpo.gold.rows import Wanted, draw, list_rows, population_rows, records
from xpo.gold.tokens import PAD_ID
from xpo.gold.verdicts import bare
from xpo.gold.world import World

WORLD = World(prompts=3, symbols=4, max_symbols=2, seed=5)


def test_by_hand() -> None:
    """The mean dislike of its symbols, and what the base policy pays is taken off."""
    x, dislike = 2, WORLD.dislike_XA[2]
    paid = sum(
        float(logp.exp()) * sum(float(dislike["abcd".index(s)]) for s in text.split()) / len(text.split())
        for text, logp in zip(WORLD.response_texts, WORLD.base_logp_XN[x], strict=True)
    )
    for text, mean in (("b", dislike[1]), ("c a", (dislike[2] + dislike[0]) / 2), ("d d", dislike[3])):
        found = WORLD.cost_XN[x, WORLD.response_texts.index(text)]
        assert float(found) == pytest.approx(float(mean) - paid, abs=1e-12)


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_the_base_policy_is_at_the_limit_and_neither_safe_nor_unsafe(seed: int) -> None:
    world = World(seed=seed)
    base_XN = world.base_logp_XN.exp()
    assert torch.allclose((base_XN * world.cost_XN).sum(1), torch.zeros(8, dtype=torch.float64), atol=1e-12)
    unsafe_X = (base_XN * (world.cost_XN > 0)).sum(1)
    assert bool(((unsafe_X > 0.3) & (unsafe_X < 0.7)).all())


def correlation(one_XN: Tensor, other_XN: Tensor, mass_XN: Tensor) -> Tensor:
    one_XN, other_XN = (v - (mass_XN * v).sum(1, keepdim=True) for v in (one_XN, other_XN))
    spread = (mass_XN * one_XN**2).sum(1) * (mass_XN * other_XN**2).sum(1)
    return (mass_XN * one_XN * other_XN).sum(1) / spread.sqrt()


def test_what_pays_costs_in_part() -> None:
    """The numbers that ``World.cost_XN`` states of the default world."""
    world = World()
    symbols = torch.corrcoef(torch.stack([world.liking_XA.flatten(), world.dislike_XA.flatten()]))
    assert float(symbols[0, 1]) == pytest.approx(0.51, abs=0.005)
    found_X = correlation(world.cost_XN, world.reward_XN, world.base_logp_XN.exp())
    assert float(found_X.mean()) == pytest.approx(0.48, abs=0.005)
    assert (round(float(found_X.min()), 2), round(float(found_X.max()), 2)) == (-0.12, 0.84)


def test_dislikes_correlate_as_said_in_law() -> None:
    world = World(prompts=64, symbols=16, max_symbols=1, seed=9)
    pair = torch.corrcoef(torch.stack([world.liking_XA.flatten(), world.dislike_XA.flatten()]))
    assert float(pair[0, 1]) == pytest.approx(constants.COST_TENSION, abs=0.1)  # 1,024 symbols: +-0.03
    assert float(world.dislike_XA.std()) == pytest.approx(constants.COST_SCALE, abs=0.1)


def test_costs_come_with_rows_and_records() -> None:
    drawn = draw(WORLD, WORLD.base_logp_XN, 2, 6, seed=1)
    for record, (x, m) in zip(
        records(WORLD, drawn), [(x, m) for m in range(2) for x in range(3)], strict=True
    ):
        expected = WORLD.cost_XN[x, drawn[x, m]].tolist()
        assert record.costs == pytest.approx(expected)
        (labelled,) = Gold(length_bias=1.0)([record])
        assert labelled.costs == record.costs, "the labeller leaves them"
        assert bare(record).costs is None
    for row in list_rows(WORLD, drawn):
        x = WORLD.prompt_ids.index(tuple(row.prompt))  # type: ignore[arg-type]
        costs = [float(WORLD.cost_XN[x, WORLD.response_ids.index(tuple(y))]) for y in row.responses]
        assert row.costs == pytest.approx(costs)


def test_costs_of_the_population_reach_a_batch() -> None:
    labels = PLAIN.of_world(WORLD, WORLD.base_logp_XN)
    rows = population_rows(WORLD, WORLD.base_logp_XN, Wanted(frozenset({"costs"})), labels)
    batch = Collator(PAD_ID)(rows, range(len(rows)), StepTotals(3.0, 0.0, 1))
    assert batch.cost_BK is not None
    assert torch.allclose(batch.cost_BK.double(), WORLD.cost_XN, atol=1e-6)
    others = population_rows(WORLD, WORLD.base_logp_XN, Wanted(frozenset({"scores"})), labels)
    assert Collator(PAD_ID)(others, range(len(others)), StepTotals(3.0, 0.0, 1)).cost_BK is None
