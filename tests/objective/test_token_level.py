"""Losses that read whole next-token distributions: declarations, broken ones, and sequential divergences."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import pytest
import torch
from torch import Tensor

from tests.explain.formula_rows import arrow_of, batch_of, padded, random_rows, trained_and_written
from tests.objective.oracles import softplus
from tests.objective.test_objective import pair
from tests.test_mutations import caught, mutant, original
from xpo.arrow import Scores
from xpo.contracts import Batch, Context
from xpo.objective.logistic import Logistic
from xpo.objective.sequential_kl import SequentialKL
from xpo.objective.token_contrast import GatedContrast, TokenContrast
from xpo.testing import Toy, failures, toy
from xpo.testing.run_objective import BETA, loss

VARIANTS = [
    SequentialKL(),
    SequentialKL(1.0, "none"),
    SequentialKL(2.5, "preferred"),
    TokenContrast(),
    TokenContrast(0.3, 1),
    GatedContrast(),
    GatedContrast(0.005, 3, 2.0, 4.0),
]


@pytest.mark.parametrize("objective", VARIANTS, ids=repr)
def test_kit_with_these_fields(objective: Any) -> None:
    assert failures(objective, "objective") == []


def tokens(t: Toy, b: int, k: int, values_BKT: Tensor) -> list[float]:
    return values_BKT[b, k][t.batch.mask_BKT[b, k]].tolist()


def by_pairs(t: Toy, b: int, loss_of_pair: Any) -> float:
    """The mass-weighted sum over the ordered pairs of responses that are there."""
    prefer = t.batch.prefer_BKK
    assert prefer is not None
    there = [k for k in range(t.reward_BK.shape[1]) if t.batch.mask_BKT[b, k].any()]
    return sum(float(prefer[b, i, j]) * loss_of_pair(b, i, j) for i in there for j in there)


@pytest.mark.parametrize("seed", [0, 1])
@pytest.mark.parametrize("responses", [1, 2, 4])
@pytest.mark.parametrize("alpha", [0.5, 1.0, 2.0])
def test_sequential_kl_by_loop(seed: int, responses: int, alpha: float) -> None:
    t = toy(rows=3, responses=responses, seed=seed)
    kl_BKT = t.token_BKT("kl_ref")

    def one(b: int, i: int, j: int) -> float:
        gap = float(t.reward_BK[b, i] - t.reward_BK[b, j])
        further = sum(tokens(t, b, j, kl_BKT)) - sum(tokens(t, b, i, kl_BKT))
        return softplus(-(gap - alpha * BETA * further))

    expected = torch.tensor([by_pairs(t, b, one) for b in range(3)], dtype=torch.float64)
    for detached in ("preferred", "none"):
        torch.testing.assert_close(loss(SequentialKL(alpha, detached), t), expected)


def hand_pair() -> tuple[Toy, Tensor]:
    """Rewards 0.3 and -0.1, divergences 0.2 + 0.3 and 0.5 + 0.1 + 0.4; what is masked is garbage."""
    t = pair(0.3, -0.1)
    mask = torch.tensor([[[True, True, False], [True, True, True]]])
    t = dataclasses.replace(t.replace(mask_BKT=mask), logp_BKT=torch.full((1, 2, 3), -1.0).double())
    return t, torch.tensor([[[0.2, 0.3, 9.0], [0.5, 0.1, 0.4]]], dtype=torch.float64)


def test_tdpo_by_hand():
    """gap 0.4 - 0.5 x 0.1 x (1.0 - 0.5) = 0.375, and -log sigmoid(0.375) = 0.523123."""
    t, kl_BKT = hand_pair()
    value = SequentialKL(0.5)(t.reward_BK, t.batch, Context(beta=0.1, token={"kl_ref": kl_BKT}))
    assert value.item() == pytest.approx(0.5231233, abs=1e-6)


@pytest.mark.parametrize(("detached", "near"), [("none", -1.0), ("preferred", 0.0)])
def test_who_is_held_to_the_reference(detached: Any, near: float) -> None:
    """d loss / d D(y_l) = alpha beta sigmoid(-gap); D(y_w) has minus that, or nothing."""
    t, kl_BKT = hand_pair()
    leaf = kl_BKT.clone().requires_grad_()
    SequentialKL(0.5, detached)(t.reward_BK, t.batch, Context(beta=0.1, token={"kl_ref": leaf})).backward()
    slope = 0.05 / (1 + math.exp(0.375))
    assert leaf.grad is not None
    assert leaf.grad[0].flatten().tolist() == pytest.approx([near * slope] * 2 + [0] + [slope] * 3)


def test_with_little_alpha_tdpo_is_dpo():
    t = toy(rows=3)
    torch.testing.assert_close(loss(SequentialKL(1e-12), t), loss(Logistic(), t), rtol=1e-9, atol=1e-9)


def test_a_preferred_response_taken_for_the_references_own_has_no_divergence():
    t, kl_BKT = hand_pair()
    seen = Context(beta=0.1, token={"kl_ref": kl_BKT}, roles=lambda x: (torch.zeros_like(x), x))
    value = SequentialKL(1.0, "none")(t.reward_BK, t.batch, seen)
    assert value.item() == pytest.approx(softplus(-(0.1 - 0.1)))  # gap 0 - (-0.1), D 0.1 x 1.0
    trained, written, text = trained_and_written(["algo=tdpo2", "polarity=negative"])
    assert written == pytest.approx(trained) and "i(0)" in text


@pytest.mark.parametrize("algo", ["tdpo1", "tdpo2", "q_star"])
def test_at_the_reference_the_preset_is_log_2(algo: str) -> None:
    _, arrow = arrow_of(f"algo={algo}")
    rows = random_rows([2, 2, 2], 0)
    for row in rows:
        row["prefer"] = row["prefer"] * 0 + [[0.0, 1.0], [0.0, 0.0]]
    batch, _ = batch_of(rows)
    logp = padded(rows, "logp")
    scores = Scores(logp, logp, token={s.name: torch.zeros_like(logp) for s in arrow.token_statistics})
    assert arrow(batch, scores).share.item() == pytest.approx(math.log(2))


def test_the_token_level_loss_is_the_responses():
    """With a linear link, and any pooling."""
    levels = ("response", "token")
    for algo in ("dpo", "simpo", "ipo"):
        response, token = (trained_and_written([f"algo={algo}", f"reward_level={level}"]) for level in levels)
        assert token[0] == pytest.approx(response[0], rel=1e-12)
        assert token[1] == pytest.approx(token[0])


def _plus(self: Any, reward_BK: Tensor, batch: Batch, seen: Context) -> Tensor:
    token = {"kl_ref": -seen.token["kl_ref"]}
    return original(self, reward_BK, batch, dataclasses.replace(seen, token=token))


def _averaged(self: Any, reward_BK: Tensor, batch: Batch, seen: Context) -> Tensor:
    name = next(iter(seen.token))
    shorter = seen.token[name] / batch.length_BK.clamp(min=1)[:, :, None]
    return original(self, reward_BK, batch, dataclasses.replace(seen, token={name: shorter}))


def _without_beta(self: Any, reward_BK: Tensor, batch: Batch, seen: Context) -> Tensor:
    return original(self, reward_BK, batch, dataclasses.replace(seen, beta=1.0))


def _detached(self: Any, reward_BK: Tensor, batch: Batch, seen: Context) -> Tensor:
    token = {name: value.detach() for name, value in seen.token.items()}
    return original(self, reward_BK, batch, dataclasses.replace(seen, token=token))


def _unmasked(self: Any, reward_BK: Tensor, batch: Batch, seen: Context) -> Tensor:
    name = next(iter(seen.token))
    extra = 1e-3 * seen.token[name].sum((1, 2)) if self.reads_reward else seen.token[name].sum((1, 2))
    return original(self, reward_BK, batch, seen) + extra


def _one_response_long(self: Any, reward_BK: Tensor, batch: Batch, seen: Context) -> Tensor:
    return original(self, reward_BK, batch, seen) / batch.present_BK.sum(1)


BROKEN = [
    (o, call) for o in (SequentialKL(), TokenContrast(), GatedContrast()) for call in (_detached, _unmasked)
]
BROKEN += [(SequentialKL(), _without_beta), (GatedContrast(), _one_response_long)]


@pytest.mark.parametrize(
    ("objective", "call"), BROKEN, ids=lambda v: getattr(v, "__name__", type(v).__name__)
)
def test_the_kit_catches_broken_ones(objective: Any, call: Any) -> None:
    assert caught(mutant(objective, original), "objective") == []
    assert caught(mutant(objective, call), "objective") != []


@pytest.mark.parametrize("call", [_plus, _averaged])
def test_the_loop_catches_what_no_declaration_says(call: Any) -> None:
    t = toy(rows=3)
    broken = mutant(SequentialKL(), call)
    assert (loss(broken, t) - loss(SequentialKL(), t)).abs().max() > 1e-3


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: SequentialKL(0.0), "alpha must be above 0"),
        (lambda: SequentialKL(math.inf), "alpha must be above 0"),
        (lambda: TokenContrast(alpha=0.0), "alpha must be above 0"),
        (lambda: TokenContrast(top=0), "top must be at least 1"),
        (lambda: GatedContrast(top=0), "top must be at least 1"),
        (lambda: GatedContrast(temperature=0.0), "temperature must be above 0"),
        (lambda: GatedContrast(offset=math.nan), "offset must be finite"),
    ],
)
def test_ranges(make: Any, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        make()
