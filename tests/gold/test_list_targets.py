"""The optima claimed for losses of lists are where the losses lead: all lists, a free policy, float64."""

from __future__ import annotations

import dataclasses
import itertools
import math
from typing import Any

import pytest
import torch
from torch import Tensor

from tests.gold.test_target import composed
from tests.test_arrow import arrow
from xpo.annotator.gold import Gold
from xpo.arrow import OffPolicy
from xpo.compose import build, compose_config
from xpo.contracts import Batch, StepTotals
from xpo.data.record import Record
from xpo.explain.notes import optimum
from xpo.gold.target import population_target
from xpo.gold.world import World
from xpo.objective.lambda_logistic import LambdaLogistic
from xpo.objective.list_mle import ListMLE
from xpo.objective.noise_contrastive_list import NoiseContrastiveList
from xpo.objective.pair_logistic import PairLogistic
from xpo.objective.softmax import Softmax
from xpo.objective.softmax_reverse_kl import SoftmaxReverseKL
from xpo.reward.explicit import Explicit
from xpo.reward.implicit import Implicit
from xpo.scored import Scores
from xpo.testing import toy

WORLD = World(prompts=1, symbols=2, max_symbols=2, seed=5)
REF_1N = torch.log_softmax(torch.tensor([[0.2, -0.9, 0.7, 0.1, -0.4, 0.5]], dtype=torch.float64), 1)
REWARD_N = WORLD.reward_XN[0]


def drawn_order_probability(order: tuple[int, ...]) -> float:
    """By Plackett and Luce: each from what is left, in proportion to e^reward."""
    weights = [math.exp(r) for r in REWARD_N[list(order)].tolist()]
    return math.prod(w / sum(weights[k:]) for k, w in enumerate(weights))


def batch_of(lists_BK: Tensor, weight_B: Tensor) -> Batch:
    """Lists that stand in the order of their comparisons, with the world's rewards as scores."""
    rows, size = lists_BK.shape
    hard = torch.ones(size, size, dtype=torch.float64).triu(1)
    batch = toy(rows=rows, responses=size, tokens=3).batch
    return dataclasses.replace(
        batch,
        mask_BKT=torch.arange(3) < WORLD.length_N[lists_BK][:, :, None],
        prefer_BKK=(hard / hard.sum()).expand(rows, size, size),
        score_BK=REWARD_N[lists_BK],
        mass_BK=None,
        weight_B=weight_B,
        totals=StepTotals(float(weight_B.sum()), 1.0, 1),
    )


def every_list(size: int) -> tuple[Batch, Tensor]:
    """Once each."""
    lists_BK = torch.tensor(list(itertools.combinations(range(6), size)))
    return batch_of(lists_BK, torch.ones(len(lists_BK), dtype=torch.float64)), lists_BK


def every_order(size: int) -> tuple[Batch, Tensor]:
    """As often as it is drawn."""
    orders = list(itertools.permutations(range(6), size))
    weight_B = torch.tensor([drawn_order_probability(order) for order in orders], dtype=torch.float64)
    return batch_of(torch.tensor(orders), weight_B), torch.tensor(orders)


def minimiser(parts: OffPolicy, batch: Batch, lists_BK: Tensor, rounds: int = 3000) -> Tensor:
    """log pi, 1 x 6."""
    logits = REF_1N[0].clone().requires_grad_()
    search = torch.optim.LBFGS(
        [logits],
        max_iter=rounds,
        max_eval=2 * rounds,
        tolerance_grad=1e-11,
        tolerance_change=0,
        line_search_fn="strong_wolfe",
    )

    def spread(logp_N: Tensor) -> Tensor:
        return (logp_N / WORLD.length_N)[lists_BK][:, :, None].expand(*lists_BK.shape, 3)

    def closure() -> Tensor:
        search.zero_grad()
        loss = parts(batch, Scores(spread(logits.log_softmax(0)), spread(REF_1N[0]))).share
        loss.backward()
        return loss

    search.step(closure)
    return logits.detach().log_softmax(0)[None]


def claimed(drawn: bool = False, **parts: Any) -> Tensor | None:
    target = population_target(WORLD, REF_1N, composed(**parts), drawn=drawn)
    return None if target is None else target.logp_XN


@pytest.mark.parametrize("objective", [Softmax(), SoftmaxReverseKL()], ids=repr)
@pytest.mark.parametrize("size", [2, 4])
@pytest.mark.parametrize(("beta", "scale"), [(0.5, 0.5), (0.3, 2.0)])
def test_softmax_losses_lead_to_the_reward_over_both_temperatures(
    objective: Any, size: int, beta: float, scale: float
) -> None:
    parts = {"objective": objective, "reward": Explicit(beta, scale)}
    found = minimiser(arrow(**parts), *every_list(size))
    tilted = torch.log_softmax(REF_1N + REWARD_N / (beta * scale), 1)
    torch.testing.assert_close(found.exp(), tilted.exp(), rtol=0, atol=1e-6)
    target = claimed(**parts)
    assert target is not None
    torch.testing.assert_close(target, tilted, rtol=0, atol=1e-9)


@pytest.mark.parametrize("objective", [ListMLE(), PairLogistic()], ids=repr)
@pytest.mark.parametrize("size", [2, 3])
def test_drawn_orders_lead_to_the_optimum_of_dpo(objective: Any, size: int) -> None:
    parts = {"objective": objective, "reward": Implicit(0.6)}
    found = minimiser(arrow(**parts), *every_order(size))
    tilted = torch.log_softmax(REF_1N + REWARD_N / 0.6, 1)
    torch.testing.assert_close(found.exp(), tilted.exp(), rtol=0, atol=1e-6)
    target = claimed(drawn=True, **parts)
    assert target is not None
    torch.testing.assert_close(target, tilted, rtol=0, atol=1e-9)


def test_sorted_orders_have_no_optimum():
    """The longer the search, the less is left to the others than the best."""
    lists_BK = torch.tensor(list(itertools.combinations(REWARD_N.argsort(descending=True).tolist(), 3)))
    batch = batch_of(lists_BK, torch.ones(len(lists_BK), dtype=torch.float64))
    parts = arrow(objective=ListMLE(), reward=Implicit(0.6))
    worst = [float(minimiser(parts, batch, lists_BK, rounds).min()) for rounds in (5, 10, 20)]
    assert worst[0] > worst[1] > worst[2] and worst[2] < -25


def test_noise_contrast_and_lambda_lead_elsewhere():
    tilted = torch.log_softmax(REF_1N + REWARD_N / 0.6, 1).exp()
    found = minimiser(arrow(objective=NoiseContrastiveList(), reward=Explicit(0.6)), *every_list(3)).exp()
    assert (found - tilted).abs().max() > 0.01
    assert claimed(objective=NoiseContrastiveList(), reward=Explicit(0.6)) is None
    assert claimed(objective=LambdaLogistic(), reward=Implicit(0.6)) is None


def test_nothing_is_claimed_for_the_softmax_of_drawn_scores():
    """Its mean over the labeller's noise is another one, where the order of drawn scores is a drawn order."""
    assert claimed(drawn=True, objective=Softmax(), reward=Explicit(0.6)) is None
    assert claimed(drawn=True, objective=PairLogistic(), reward=Explicit(0.6)) is None
    assert claimed(drawn=True, objective=ListMLE(), reward=Explicit(0.6)) is not None


def test_the_annotator_draws_orders():
    rewards = tuple(REWARD_N[:3].tolist())
    records = [Record("p", ("a", "b", "c"), scores=rewards)] * 30_000
    counts = dict.fromkeys(itertools.permutations(range(3)), 0)
    for record in Gold()(records):
        assert record.scores is not None
        counts[tuple(torch.tensor(record.scores).argsort(descending=True).tolist())] += 1
    for order, count in counts.items():
        assert count / 30_000 == pytest.approx(drawn_order_probability(order), abs=3 / math.sqrt(30_000))


@pytest.mark.parametrize(
    ("algo", "words"),
    [
        ("exo_reward", "E[r (of scores / 0.5)] - 0.5 D (reverse_kl)"),
        ("infonca", "E[r] - 0.01 D (reverse_kl)"),
        ("pl_dpo", "E[r] - 0.1 D (reverse_kl)"),
        ("nca_reward", "No exact optimum is claimed"),
        ("rrhf", "No exact optimum is claimed"),
    ],
)
def test_explain_says_the_optimum_with_both_temperatures(algo: str, words: str) -> None:
    assert words in optimum(build(compose_config([f"algo={algo}"])))
