"""Metrics of reward and preference models by hand, by loops, and at the best that any model can do."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from xpo.gold import scorer_metrics
from xpo.gold.labels import LabelModel, Labels
from xpo.gold.scorer_metrics import (
    correlation,
    cyclic,
    of_scores,
    pair_metrics,
    pairwise_metrics,
    pointwise_metrics,
    ranks,
)
from xpo.gold.world import World


def labels_of(win: list[list[float]], tie: list[list[float]] | None = None) -> Labels:
    decided = torch.tensor([win], dtype=torch.float64)
    ties = torch.zeros_like(decided) if tie is None else torch.tensor([tie], dtype=torch.float64)
    return Labels(torch.zeros(1, len(win), dtype=torch.float64), decided, ties)


def logp(*weights: float) -> Tensor:
    return torch.tensor([weights], dtype=torch.float64).log()


def test_three_responses_by_hand() -> None:
    """Masses of the pairs .5 x .3, .5 x .2, .3 x .2 are 15, 10 and 6 of 31."""
    labels = labels_of([[0.5, 0.8, 0.4], [0.2, 0.5, 0.7], [0.6, 0.3, 0.5]])
    score = torch.tensor([[2.0, 1.0, 1.0]])  # 0 over 1, 0 over 2, neither of 1 and 2
    found = pointwise_metrics(score, torch.tensor([[3.0, 1.0, 2.0]]), labels, logp(0.5, 0.3, 0.2))
    assert found["gold/pair_accuracy"] == pytest.approx((15 * 0.8 + 10 * 0.4 + 6 * 0.5) / 31)
    assert found["gold/bayes_accuracy"] == pytest.approx((15 * 0.8 + 10 * 0.6 + 6 * 0.7) / 31)
    assert found["gold/pair_accuracy_gap"] == pytest.approx((10 * 0.2 + 6 * 0.2) / 31)
    nll = 0.313262  # log(1 + e^-1); 1.313262 for who loses
    loss = 15 * (0.8 * nll + 0.2 * 1.313262) + 10 * (0.4 * nll + 0.6 * 1.313262) + 6 * math.log(2)
    assert found["gold/log_loss"] == pytest.approx(loss / 31, abs=1e-6)
    entropy = 15 * 0.500402 + 10 * 0.673012 + 6 * 0.610864  # of 0.8, 0.4, 0.7
    assert found["gold/bayes_log_loss"] == pytest.approx(entropy / 31, abs=1e-6)
    assert found["gold/spearman"] == pytest.approx(math.sqrt(0.75))  # ranks 3, 1.5, 1.5 and 3, 1, 2
    assert found["gold/pearson"] == pytest.approx(math.sqrt(0.75))


def test_ties_are_no_labels() -> None:
    tie = [[0.0, 0.5, 0.0], [0.5, 0.0, 0.0], [0.0, 0.0, 0.0]]
    labels = labels_of([[0.5, 0.8, 0.4], [0.2, 0.5, 0.7], [0.6, 0.3, 0.5]], tie)
    found = pair_metrics(of_scores(torch.tensor([[2.0, 1.0, 0.0]])), labels, logp(0.5, 0.3, 0.2))
    assert found["gold/pair_accuracy"] == pytest.approx((7.5 * 0.8 + 10 * 0.4 + 6 * 0.7) / 23.5)


def test_the_plain_labellers_reward_is_the_best_there_is(world: World, ref: Tensor) -> None:
    for model in (LabelModel(), LabelModel(ties=1.5), LabelModel(scale=2.0)):
        labels = model.of_world(world, ref)
        found = pointwise_metrics(3.0 + model.scale * world.reward_XN, world.reward_XN, labels, ref)
        assert found["gold/pair_accuracy_gap"] == pytest.approx(0, abs=1e-12)
        assert found["gold/log_loss"] == pytest.approx(found["gold/bayes_log_loss"], abs=1e-12)
        assert found["gold/spearman"] == pytest.approx(1) and found["gold/pearson"] == pytest.approx(1)
        worst = pointwise_metrics(-world.reward_XN, world.reward_XN, labels, ref)
        assert worst["gold/spearman"] == pytest.approx(-1)
        assert worst["gold/pair_accuracy"] == pytest.approx(1 - found["gold/bayes_accuracy"])


def test_a_labeller_who_likes_length_is_known_by_another_reward(world: World, ref: Tensor) -> None:
    labels = LabelModel(length_bias=0.8).of_world(world, ref)
    true = pointwise_metrics(world.reward_XN, world.reward_XN, labels, ref)
    utility = pointwise_metrics(LabelModel(length_bias=0.8).utility_XN(world), world.reward_XN, labels, ref)
    assert utility["gold/pair_accuracy_gap"] == pytest.approx(0, abs=1e-12)
    assert true["gold/pair_accuracy_gap"] > 0.01 and true["gold/spearman"] == pytest.approx(1)
    assert utility["gold/spearman"] < 0.9


def test_ranks_are_shared_by_equal_values() -> None:
    assert ranks(torch.tensor([[5.0, 1.0, 5.0, 2.0]])).tolist() == [[3.5, 1.0, 3.5, 2.0]]
    flat = torch.ones(2, 3)
    assert correlation(flat, torch.tensor([[1.0, 2.0, 3.0], [1.0, 2.0, 4.0]])) == 0
    both = correlation(torch.tensor([[1.0, 2.0], [1.0, 2.0]]), torch.tensor([[0.0, 5.0], [3.0, 1.0]]))
    assert both == 0  # 1 and -1


def test_cycles_by_every_triple(world: World, ref: Tensor) -> None:
    log_odds = LabelModel(intransitivity=2.0).of_world(world, ref).log_odds_KK
    p, wanted = ref.exp(), []
    for x in range(world.prompts):
        mass = {True: 0.0, False: 0.0}
        for i, j, k in itertools.combinations(range(world.size), 3):
            one = [bool(log_odds[x, a, b] > 0) for a, b in ((i, j), (j, k), (k, i))]
            mass[all(one) or not any(one)] += float(p[x, i] * p[x, j] * p[x, k])
        wanted.append(mass[True] / (mass[True] + mass[False]))
    found = cyclic((log_odds > 0).double(), p)
    assert found == pytest.approx(sum(wanted) / world.prompts) and found > 0.05


def test_cycles_that_are_found_go_the_same_way_round(world: World, ref: Tensor) -> None:
    labels = LabelModel(intransitivity=3.0).of_world(world, ref)
    right = pairwise_metrics(labels.log_odds_KK, world.reward_XN, labels, ref)
    assert right["gold/intransitive_triads"] == right["gold/intransitive_triads/world"] > 0.1
    assert right["gold/intransitive_triads/found"] == pytest.approx(1)
    turned = pairwise_metrics(-labels.log_odds_KK, world.reward_XN, labels, ref)
    assert turned["gold/intransitive_triads"] == right["gold/intransitive_triads"]
    assert turned["gold/intransitive_triads/found"] == 0 and turned["gold/spearman"] < 0
    plain = LabelModel().of_world(world, ref)
    without = pairwise_metrics(of_scores(world.reward_XN), world.reward_XN, plain, ref)
    assert without["gold/intransitive_triads"] == 0 == without["gold/intransitive_triads/world"]
    assert "gold/intransitive_triads/found" not in without


def best_scores(labels: Labels, ref: Tensor) -> Tensor:
    """The scores of the least log-loss: convex, so that where it stands still is all there is."""
    score = torch.zeros_like(ref).requires_grad_()
    mass = ref.exp()[:, :, None] * ref.exp()[:, None, :]
    search = torch.optim.LBFGS(
        [score], 2000, max_eval=4000, tolerance_grad=1e-12, tolerance_change=0, line_search_fn="strong_wolfe"
    )

    def closure() -> Tensor:
        search.zero_grad()
        loss = (mass * labels.decided_KK * torch.nn.functional.softplus(-of_scores(score))).sum()
        loss.backward()
        return loss

    search.step(closure)  # type: ignore[arg-type]
    assert score.grad is not None and float(score.grad.abs().max()) < 1e-6
    return score.detach()


@pytest.mark.parametrize(("cyclic_part", "least"), [(0.0, 0.0), (1.0, 0.01), (4.0, 0.2)])
def test_no_score_fits_a_cycle_and_a_table_does(
    world: World, ref: Tensor, cyclic_part: float, least: float
) -> None:
    labels = LabelModel(intransitivity=cyclic_part).of_world(world, ref)
    table = pairwise_metrics(labels.log_odds_KK, world.reward_XN, labels, ref)
    assert table["gold/log_loss"] == pytest.approx(table["gold/bayes_log_loss"], abs=1e-12)
    assert table["gold/pair_accuracy_gap"] == pytest.approx(0, abs=1e-12)
    score = best_scores(labels, ref)
    fitted = pointwise_metrics(score, world.reward_XN, labels, ref)
    lost = fitted["gold/log_loss"] - fitted["gold/bayes_log_loss"]
    if least:
        assert lost > least and fitted["gold/pair_accuracy_gap"] > least / 10
    else:
        assert lost == pytest.approx(0, abs=1e-9)
    for moved in (1e-2, -1e-2):  # the fit itself is a fit: no small step is better
        step = score + moved * world.reward_XN
        worse = pointwise_metrics(step, world.reward_XN, labels, ref)["gold/log_loss"]
        assert worse > fitted["gold/log_loss"]


def _with_itself(ref_XN: Tensor, tie_XNN: Tensor) -> Tensor:
    mass = ref_XN[:, :, None] * ref_XN[:, None, :]
    return mass / mass.sum((1, 2), keepdim=True)


def _ordered(value_XN: Tensor) -> Tensor:
    return value_XN.argsort(1).argsort(1).double()


@pytest.mark.parametrize(
    ("name", "broken", "check"),
    [
        ("pair_mass", _with_itself, test_three_responses_by_hand),
        ("ranks", _ordered, test_three_responses_by_hand),
        ("_best", lambda win_XNN: win_XNN, test_three_responses_by_hand),
        ("_agreement", lambda log_odds, win: win, test_three_responses_by_hand),
    ],
)
def test_broken_metrics_are_caught(
    monkeypatch: pytest.MonkeyPatch, name: str, broken: Callable[..., Tensor], check: Callable[[], None]
) -> None:
    monkeypatch.setattr(scorer_metrics, name, broken)
    with pytest.raises(AssertionError):
        check()
