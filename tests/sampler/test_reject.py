"""Rejection sampling: its law by enumeration and from samples, and pools by hand."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from xpo.divergence.reverse_kl import ReverseKL
from xpo.gold.world import World
from xpo.sampler.reject import acceptance, best_of_n, from_pool, kept

WORLD, BETA = World(), 0.5
OPTIMUM_XN = ReverseKL().optimum(WORLD.base_logp_XN, WORLD.reward_XN, BETA).exp()
Chance = Callable[[Tensor, float, float], Tensor]


def variation(one_XN: Tensor, other_XN: Tensor) -> Tensor:
    """Total variation, by prompt."""
    return (one_XN - other_XN).abs().sum(-1) / 2


def laws(chance: Chance, beyond: float = 0.0) -> Tensor:
    """What is kept of the base policy's candidates, by enumeration; ``highest`` is the known one."""
    weight_XN = torch.stack(
        [
            base_N.exp() * chance(reward_N, BETA, float(reward_N.max()) + beyond)
            for base_N, reward_N in zip(WORLD.base_logp_XN, WORLD.reward_XN, strict=True)
        ]
    )
    return weight_XN / weight_XN.sum(1, keepdim=True)


class TestLaw:
    @pytest.mark.parametrize("beyond", [0.0, 3.0])
    def test_a_known_maximum_keeps_the_optimum(self, beyond: float) -> None:
        """Whatever it is, as long as no score is above it."""
        assert float(variation(laws(acceptance, beyond), OPTIMUM_XN).max()) < 1e-12

    @pytest.mark.parametrize(
        "broken",
        [
            lambda score_N, beta, highest: torch.exp((highest - score_N) / beta),
            lambda score_N, beta, highest: torch.exp((score_N - highest) * beta),
            lambda score_N, beta, highest: torch.exp((score_N - score_N.mean()) / beta).clamp(max=1),
            lambda score_N, beta, highest: torch.ones_like(score_N),
        ],
        ids=["sign", "beta inverted", "cut at 1", "no rejection"],
    )
    def test_broken_ones_are_caught(self, broken: Chance) -> None:
        assert float(variation(laws(broken), OPTIMUM_XN).min()) > 0.01

    def test_from_accepted_samples(self) -> None:
        """20,000 of each prompt are no farther off than as many draws from the optimum itself.

        Of those the expected distance is the sum of sqrt(2 p (1 - p) / (pi n)) / 2: 0.017 to 0.034 here, so
        that 0.02 takes more of them. Beside it Pearson's chi-square, which is within 4.5 standard deviations.
        """
        generator, size = torch.Generator().manual_seed(0), 20_000
        for x in range(WORLD.prompts):
            optimum_N = OPTIMUM_XN[x]
            counted_N = counts(x, size, generator)
            floor = float((2 * optimum_N * (1 - optimum_N) / (math.pi * size)).sqrt().sum() / 2)
            assert float(variation(counted_N / size, optimum_N)) < 1.2 * floor
            often_N = optimum_N * size >= 5
            found, expected = counted_N[often_N], size * optimum_N[often_N]
            chi2 = float(((found - expected) ** 2 / expected).sum())
            freedom = int(often_N.sum()) - 1
            assert abs(chi2 - freedom) < 4.5 * math.sqrt(2 * freedom)

    def test_from_more_accepted_samples(self) -> None:
        generator, size = torch.Generator().manual_seed(1), 80_000
        apart = [
            float(variation(counts(x, size, generator) / size, OPTIMUM_XN[x])) for x in range(WORLD.prompts)
        ]
        assert max(apart) < 0.02


def counts(x: int, size: int, generator: torch.Generator) -> Tensor:
    """How often each response is among ``size`` that are kept of the base policy's."""
    base_N, reward_N = WORLD.base_logp_XN[x].exp(), WORLD.reward_XN[x]
    found = torch.zeros(0, dtype=torch.long)
    while len(found) < size:
        drawn_M = torch.multinomial(base_N, 200_000, replacement=True, generator=generator)
        found = torch.cat([found, drawn_M[kept(reward_N[drawn_M], BETA, float(reward_N.max()), generator)]])
    return torch.bincount(found[:size], minlength=WORLD.size).double()


class TestPool:
    def test_a_pool_of_two_by_hand(self) -> None:
        """The worse one stands first: it is kept first with probability e^-1, which its place decides."""
        generator, n = torch.Generator().manual_seed(0), 4_000
        worse_first = [int(from_pool(torch.tensor([1.0, 2.0]), 1.0, 1, generator)) for _ in range(n)]
        assert worse_first.count(0) / n == pytest.approx(math.exp(-1), abs=4 * 0.5 / math.sqrt(n))
        better_first = {int(from_pool(torch.tensor([2.0, 1.0]), 1.0, 1, generator)) for _ in range(50)}
        assert better_first == {0}

    def test_the_maximum_is_that_of_those_left(self) -> None:
        """Beta so small that nothing but the best is kept: the best go one by one."""
        scores = torch.tensor([0.1, 0.7, 0.4, 0.9], dtype=torch.float64)
        assert from_pool(scores, 1e-3, 3, torch.Generator()).tolist() == [3, 1, 2]

    def test_all_of_them_and_at_random(self) -> None:
        generator = torch.Generator().manual_seed(3)
        scores = torch.randn(16, generator=generator)
        assert sorted(from_pool(scores, 0.5, 16, generator).tolist()) == list(range(16))
        assert from_pool(scores, 1e9, 5, generator).tolist() == [0, 1, 2, 3, 4]

    def test_equal_seeds_keep_the_same(self) -> None:
        scores = torch.linspace(-1, 1, 12)
        first, again = (from_pool(scores, 0.5, 4, torch.Generator().manual_seed(5)) for _ in range(2))
        assert torch.equal(first, again)

    def test_its_law_is_another(self, capsys: pytest.CaptureFixture[str]) -> None:
        """8 of 64: the distance is told, not asked to be small."""
        generator, rounds, x = torch.Generator().manual_seed(0), 500, 0
        base_N, reward_N = WORLD.base_logp_XN[x].exp(), WORLD.reward_XN[x]
        pool_RM = torch.multinomial(base_N, 64 * rounds, replacement=True, generator=generator).view(
            rounds, 64
        )
        found = torch.cat([pool_M[from_pool(reward_N[pool_M], BETA, 8, generator)] for pool_M in pool_RM])
        law_N = torch.bincount(found, minlength=WORLD.size) / len(found)
        apart = float(variation(law_N, OPTIMUM_XN[x]))
        print(f"8 of 64 at beta {BETA}: total variation {apart:.3f} from the optimum")
        assert apart > 0.1, "a finite pool's law is not the optimum's"


def test_best_of_n_takes_the_first_of_equals() -> None:
    assert best_of_n(torch.tensor([[0.1, 0.5, 0.5], [2.0, -1.0, 0.0]])).tolist() == [1, 0]


@pytest.mark.parametrize(
    ("ask", "message"),
    [
        (lambda s, g: from_pool(s, 0.5, 4, g), "size must be 1 to the 3 candidates, got 4"),
        (lambda s, g: from_pool(s, 0.5, 0, g), "size must be 1 to the 3 candidates, got 0"),
        (lambda s, g: from_pool(s, 0.0, 1, g), "beta must be above 0 and finite, got 0.0"),
        (lambda s, g: kept(s, 0.5, 0.9, g), "highest=0.9 is below a score of 1.0"),
        (lambda s, g: kept(s * math.nan, 0.5, 2.0, g), "scores must be finite"),
    ],
)
def test_what_is_refused(ask: Callable[[Tensor, torch.Generator], Tensor], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        ask(torch.tensor([0.0, 1.0, 0.5]), torch.Generator())
