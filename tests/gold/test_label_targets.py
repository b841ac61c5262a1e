"""The optimum that the labels imply: where a table of probabilities ends, and where nothing is claimed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn.functional import softplus

from tests.gold.test_labels import ALL
from tests.gold.test_target import composed
from xpo.feedback.preference import Preference
from xpo.gold.labels import LabelModel
from xpo.gold.rows import Wanted, population_rows
from xpo.gold.target import kl, population_target
from xpo.gold.world import World
from xpo.label_noise.flips import Flips
from xpo.objective.list_mle import ListMLE
from xpo.objective.reverse_kl_labels import ReverseKLLabels
from xpo.objective.squared import Squared
from xpo.objective.value_regression import ValueRegression
from xpo.reward.explicit import Explicit
from xpo.reward.implicit import Implicit
from xpo.reward_form.pairwise import Pairwise

HALF = Preference(ties="half")
IPO = {"objective": Squared(tau=0.4), "reward": Implicit(1.0)}
BETA = 0.5  # of ``composed``


def logistic(gap: Tensor) -> Tensor:
    return softplus(-BETA * gap)


def square(gap: Tensor) -> Tensor:
    return (gap - 1 / 0.8).square()


def fitted(prefer_XNN: Tensor, ref: Tensor, curve: Callable[[Tensor], Tensor]) -> Tensor:
    """log pi of a table, by the loss of log-ratios' differences."""
    logits = ref.clone().requires_grad_()
    search = torch.optim.LBFGS(
        [logits], 3000, max_eval=6000, tolerance_grad=1e-12, tolerance_change=0, line_search_fn="strong_wolfe"
    )

    def closure() -> Any:
        search.zero_grad()
        ratio = logits.log_softmax(1) - ref
        loss = (prefer_XNN * curve(ratio[:, :, None] - ratio[:, None, :])).sum()
        loss.backward()
        return loss

    search.step(closure)
    return logits.detach().log_softmax(1)


def masses(world: World, ref: Tensor, model: LabelModel, splits_ties: bool) -> Tensor:
    rows = population_rows(world, ref, Wanted(splits_ties=splits_ties), model.of_world(world, ref))
    return torch.stack([torch.from_numpy(np.asarray(row.prefer)) for row in rows])


def claimed(world: World, ref: Tensor, model: LabelModel, **parts: Any) -> Tensor | None:
    drawn = parts.pop("drawn", False)
    found = population_target(world, ref, composed(**parts), model.of_world(world, ref), drawn)
    return None if found is None else found.logp_XN


LOG_ODDS = [
    LabelModel(scale=2.0),
    LabelModel(length_bias=0.4),
    LabelModel(ties=1.0),
    LabelModel(ties=0.5, length_bias=-0.3, scale=0.6),
]


@pytest.mark.parametrize("model", LOG_ODDS, ids=repr)
def test_bradley_terry_is_fitted_to_the_labellers_utility(
    world: World, ref: Tensor, model: LabelModel
) -> None:
    target = claimed(world, ref, model)
    assert target is not None
    assert kl(target, fitted(masses(world, ref, model, False), ref, logistic)) < 1e-9
    symbols = torch.tensor([len(text.split()) for text in world.response_texts])
    utility = world.reward_XN + model.length_bias * symbols.double()
    tilted = torch.log_softmax(ref + model.scale * utility / BETA, 1)
    torch.testing.assert_close(target, tilted, rtol=0, atol=1e-9)


@pytest.mark.parametrize("model", [ALL, LabelModel(noise=0.2), LabelModel(intransitivity=4.0)], ids=repr)
def test_ipo_is_fitted_to_any_win_rates(world: World, ref: Tensor, model: LabelModel) -> None:
    target = claimed(world, ref, model, feedback=HALF, **IPO)
    assert target is not None
    assert kl(target, fitted(masses(world, ref, model, True), ref, square)) < 1e-9


def test_what_no_reward_explains_is_not_claimed(world: World, ref: Tensor) -> None:
    """Nor is it where the table ends: further from the tilted reference than any rounding."""
    tilted = torch.log_softmax(ref + world.reward_XN / BETA, 1)
    for model, splits in (
        (LabelModel(noise=0.2), False),
        (LabelModel(intransitivity=1.0), False),
        (LabelModel(ties=1.0), True),
    ):
        assert claimed(world, ref, model, feedback=HALF if splits else Preference()) is None
        assert kl(tilted, fitted(masses(world, ref, model, splits), ref, logistic)) > 1e-3


def test_ties_that_are_left_out_make_another_measure(world: World, ref: Tensor) -> None:
    model = LabelModel(ties=2.0)
    assert claimed(world, ref, model, **IPO) is None
    halved = claimed(world, ref, model, feedback=HALF, **IPO)
    assert halved is not None and kl(halved, fitted(masses(world, ref, model, False), ref, square)) > 1e-3


def test_flips_are_undone_of_labels_and_not_of_what_is_made_of_scores(world: World, ref: Tensor) -> None:
    model, flips = LabelModel(noise=0.1, length_bias=0.2), {"label_noise": Flips(0.1)}
    plain = claimed(world, ref, LabelModel(length_bias=0.2))
    undone = claimed(world, ref, model, **flips)
    assert undone is not None and plain is not None
    torch.testing.assert_close(undone, plain)
    wins = claimed(world, ref, model, reward=Explicit(BETA), reward_form=Pairwise(), **flips)
    assert wins is not None
    torch.testing.assert_close(wins, plain)
    scored = {"objective": ReverseKLLabels(), "reward": Explicit(BETA, scale=2.0)}
    assert claimed(world, ref, model, **scored, **flips) is None
    shrunk = claimed(world, ref, model, **scored)
    assert shrunk is not None
    utility = world.reward_XN + 0.2 * (world.length_N - 1).double()
    torch.testing.assert_close(shrunk, torch.log_softmax(ref + 0.8 * utility / (2 * BETA), 1))


def test_drawn_scores_that_a_tie_or_a_cycle_moved_have_another_mean(world: World, ref: Tensor) -> None:
    parts = {"objective": ValueRegression(), "reward": Implicit(BETA)}
    for model, moved in ((LabelModel(ties=1.0), True), (LabelModel(intransitivity=1.0), True), (ALL, True)):
        assert (claimed(world, ref, model, drawn=True, **parts) is None) == moved
    for model in (LabelModel(scale=3.0), LabelModel(noise=0.1, length_bias=1.0)):
        assert claimed(world, ref, model, drawn=True, **parts) is not None


def test_an_order_is_drawn_from_the_scores_whatever_a_scorers_scale(world: World, ref: Tensor) -> None:
    parts = {"objective": ListMLE(), "reward": Explicit(BETA, scale=3.0), "drawn": True}
    found = claimed(world, ref, LabelModel(scale=2.0), **parts)
    assert found is not None
    torch.testing.assert_close(found, torch.log_softmax(ref + 2 * world.reward_XN / BETA, 1))
    assert claimed(world, ref, LabelModel(), **{**parts, "reward_form": Pairwise()}) is None
