"""Labels from win rates: by hand, in a population, and beside IPO."""

from __future__ import annotations

import dataclasses
import math

import pytest
import torch

from tests.objective.test_objective import slopes
from tests.stages.test_step_zero import composed
from tests.test_arrow import arrow
from tests.test_population import REF, WIN, close, minimiser, population
from xpo.gold.target import population_target
from xpo.gold.world import World
from xpo.label_noise.none import NoNoise
from xpo.objective.logistic import Logistic
from xpo.objective.squared import Squared
from xpo.reward.explicit import Explicit
from xpo.reward.implicit import Implicit
from xpo.reward_form.pairwise import Pairwise
from xpo.reward_form.win_rate import WinRate
from xpo.testing import Toy, failures, toy


def compared(*pairs: tuple[int, int]) -> Toy:
    """Three responses, these compared, with probabilities 0.9, 0.6 and 0.7 that 0 beats 1, 0 2 and 1 2."""
    t = toy(rows=1, responses=3, ragged=False)
    prefer = torch.zeros(1, 3, 3, dtype=torch.float64)
    for i, j in pairs:
        prefer[0, i, j] = 1 / len(pairs)
    win = torch.tensor([[[0.5, 0.9, 0.6], [0.1, 0.5, 0.7], [0.4, 0.3, 0.5]]], dtype=torch.float64)
    return t.replace(prefer_BKK=prefer, win_BKK=win)


def test_a_list_by_hand():
    """Win rates against the others: 0.75, 0.4, 0.35. A certain comparison the wrong way is relabelled."""
    new = Explicit().relabelled(compared((0, 1), (2, 0), (1, 2)).batch, WinRate()).prefer_BKK
    assert new is not None

    def share(gap: float) -> float:
        return 1 / (1 + math.exp(-gap)) / 3

    expected = [[0, share(0.35), share(0.4)], [share(-0.35), 0, share(0.05)], [share(-0.4), share(-0.05), 0]]
    torch.testing.assert_close(new[0], torch.tensor(expected, dtype=torch.float64))


def test_only_who_was_compared_counts():
    t = compared((0, 1))
    odds = WinRate().log_odds(t.batch)[0]
    assert odds[0, 1].item() == pytest.approx(0.9 - 0.1)
    new = Explicit(scale=0.5).relabelled(t.batch, WinRate()).prefer_BKK
    assert new is not None
    assert new[0, 0, 1].item() == pytest.approx(1 / (1 + math.exp(-1.6)))
    assert new[0, :, 2].tolist() == [0.0, 0.0, 0.0] == new[0, 2].tolist()


def test_what_is_lacking_is_named():
    t = compared((0, 1))
    with pytest.raises(ValueError, match="needs win probabilities"):
        WinRate().log_odds(t.replace(win_BKK=None).batch)
    with pytest.raises(ValueError, match="needs comparisons"):
        WinRate().log_odds(t.replace(prefer_BKK=None).batch)
    assert failures(WinRate(), "reward_form") == []


def test_a_pairs_slope():
    """DNO's: sigmoid(gap) - t, t = sigmoid(P_0 - P_1) with P of one opponent each."""
    t = toy(rows=1, responses=2, ragged=False)
    prefer = torch.tensor([[[0.0, 1.0], [0.0, 0.0]]], dtype=torch.float64)
    win = torch.tensor([[[0.5, 0.8], [0.2, 0.5]]], dtype=torch.float64)
    t = dataclasses.replace(
        t.replace(prefer_BKK=prefer, win_BKK=win), reward_BK=torch.zeros(1, 2, dtype=torch.float64)
    )
    soft = t.replace(prefer_BKK=Explicit().relabelled(t.batch, WinRate()).prefer_BKK)
    wanted = 1 / (1 + math.exp(-0.6))
    assert slopes(Logistic(), soft) == pytest.approx([0.5 - wanted, wanted - 0.5])


@pytest.mark.parametrize("beta", [0.1, 0.5])
def test_the_optimum_is_ipos(beta: float) -> None:
    batch = dataclasses.replace(population(), win_BKK=WIN[None])
    found = minimiser(arrow(reward=Explicit(beta), reward_form=WinRate()), batch)
    close(found, torch.softmax(REF.log() + (WIN @ REF) / beta, 0))
    close(found, minimiser(arrow(objective=Squared(beta), reward=Implicit(1.0))))
    pairwise = minimiser(arrow(reward=Explicit(beta), reward_form=Pairwise()), batch)
    assert (found - pairwise).abs().max() > 1e-2


@pytest.fixture(scope="module")
def small() -> tuple[World, torch.Tensor]:
    world = World(prompts=2, symbols=3, max_symbols=2)
    return world, world.base_logp_XN


def test_the_gold_world_knows_it(small: tuple[World, torch.Tensor]) -> None:
    world, ref = small
    dno = population_target(world, ref, composed("algo=dno_pair", "reward.beta=0.3"))
    ipo = population_target(world, ref, composed("algo=ipo", "length=sum", "objective.tau=0.3"))
    assert dno is not None and ipo is not None
    torch.testing.assert_close(dno.logp_XN, ipo.logp_XN)
    halved = population_target(world, ref, composed("algo=dno_pair", "reward.beta=0.15", "reward.scale=2"))
    assert halved is not None
    torch.testing.assert_close(halved.logp_XN, ipo.logp_XN)


@pytest.mark.parametrize("overrides", [("arity=list",), ("annotator.noise=0.1", "label_noise=flips")])
def test_none_is_claimed_where_win_rates_are_estimates(
    small: tuple[World, torch.Tensor], overrides: tuple[str, ...]
) -> None:
    world, ref = small
    parts = composed("algo=dno_pair", *overrides)
    assert isinstance(parts.label_noise, NoNoise) == (overrides == ("arity=list",))
    assert population_target(world, ref, parts, parts.annotator.label_model.of_world(world, ref)) is None


def test_exo_is_claimed_and_its_smoothed_labels_are_not(small: tuple[World, torch.Tensor]) -> None:
    world, ref = small
    exo, dpo = (population_target(world, ref, composed(*o)) for o in EXACT)
    assert exo is not None and dpo is not None
    torch.testing.assert_close(exo.logp_XN, dpo.logp_XN)
    assert population_target(world, ref, composed("algo=exo")) is None


EXACT = (("algo=exo", "label_noise=none"), ("algo=dpo", "reward.beta=0.5"))
