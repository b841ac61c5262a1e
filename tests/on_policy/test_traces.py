"""Rollouts worked out by hand: where rewards land, what they are, and what advantages follow."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch

from tests.on_policy.hand import EOS, Hand, logps, mutated, rows_of
from xpo.contracts import masked
from xpo.module import on_policy as module_file
from xpo.on_policy import arrow as arrow_file
from xpo.on_policy.arrow import OnPolicy
from xpo.penalty.reward import InReward

FIVE = [[5, 6, 7, 8, EOS]]
PLAIN = ("algo=reinforce", "sft=none")  # no baseline, the penalty of whole responses


def rewards(*overrides: str, answers: Any = (FIVE,), scores: Any = ((2.0,),), **how: Any) -> Any:
    return rows_of(Hand((*PLAIN, *overrides), answers, scores, **how).experience().reward)


def test_the_score_lands_on_the_token_that_ends_the_response() -> None:
    assert rewards() == [[[0, 0, 0, 0, 2.0]]]


def test_unequal_lengths_and_several_samples() -> None:
    answers = [[[5, EOS], [6, 7, 8, 9, EOS], [EOS]], [[5, 6, EOS], [7, EOS], [5, 5, 5, EOS]]]
    found = rewards("sampling.responses=3", "arity=list", answers=answers, scores=[[1, 2, 3], [4, 5, 6]])
    assert found == [
        [[0, 1, 0, 0, 0], [0, 0, 0, 0, 2], [3, 0, 0, 0, 0]],
        [[0, 0, 4, 0, 0], [0, 5, 0, 0, 0], [0, 0, 0, 6, 0]],
    ]
    two = rewards(
        "sampling.responses=2", "arity=list", answers=[[[5, EOS], [6, 7, EOS]]], scores=[[1.0, -1.0]]
    )
    assert two == [[[0, 1, 0], [0, 0, -1]]]


def test_a_response_that_does_not_end_is_worth_less() -> None:
    cut = [[[5, 6, 7, 8, 9]]]
    assert rewards(missing_eos=0.75, answers=cut) == [[[0, 0, 0, 0, 1.25]]]
    assert rewards(missing_eos=0.75) == [[[0, 0, 0, 0, 2.0]]]


def test_the_price_of_length_is_taken_off() -> None:
    assert rewards("length=penalty", "length.alpha=0.1") == [[[0, 0, 0, 0, 1.5]]]


def test_rewards_are_scaled_then_cut() -> None:
    answers, scores = [FIVE, [[6, EOS]], [[7, EOS]]], [[2.0], [-9.0], [9.0]]
    assert rewards("reward.clip=1.5", "reward.scale=4", answers=answers, scores=scores) == [
        [[0, 0, 0, 0, 0.5]],
        [[0, -1.5, 0, 0, 0]],
        [[0, 1.5, 0, 0, 0]],
    ]


def ratios(response: Any) -> list[float]:
    """log pi - log ref of tokens behind the prompt [1, 11]."""
    return [a - b for a, b in zip(logps([1, 11], response), logps([1, 11], response, seed=4), strict=True)]


def test_the_penalty_of_a_response_stands_at_its_end() -> None:
    (found,) = rewards("reward.beta=0.5", moved=True)[0]
    assert found == pytest.approx([0, 0, 0, 0, 2 - 0.5 * sum(ratios(FIVE[0]))], abs=2e-5)


def test_the_penalty_of_tokens_stands_at_each() -> None:
    (found,) = rewards("reward.beta=0.5", "penalty.form=token", moved=True)[0]
    each = [-0.5 * ratio for ratio in ratios(FIVE[0])]
    assert found == pytest.approx([*each[:4], 2 + each[4]], abs=2e-5)


def js_link(ratio: float) -> float:
    return math.log(2 / (1 + math.exp(-ratio)))


def test_another_divergences_penalty_of_a_response() -> None:
    """f'(u) - f'(1) = log(2u / (1 + u)) for Jensen-Shannon: of the whole response's ratio."""
    (found,) = rewards("divergence=js", "reward.beta=0.5", moved=True)[0]
    assert found[-1] == pytest.approx(2 - 0.5 * js_link(sum(ratios(FIVE[0]))), abs=2e-5)


def test_the_baseline_takes_in_the_penalty() -> None:
    """Leave-one-out of totals with the penalty in them: not of scores, with the penalty beside them."""
    answers = [[[5, EOS], [6, 7, EOS]]]
    hand = Hand(("algo=rloo", "sft=none", "reward.beta=0.5"), answers, [[1.0, 3.0]], moved=True)
    totals = [s - 0.5 * sum(ratios(r)) for s, r in zip([1.0, 3.0], answers[0], strict=True)]
    gap = totals[1] - totals[0]
    assert abs(gap - 2) > 0.01, "the penalty is to be seen"
    first, second = rows_of(hand.experience().advantage)[0]
    assert first == pytest.approx([-gap, -gap, 0], abs=3e-5)
    assert second == pytest.approx([gap, gap, gap], abs=3e-5)


def test_generalised_advantages_of_five_tokens() -> None:
    """V = 0.5, the reward 2: d_t = 0 but for the last, which is 2 - 0.5: A_t = 1.5 (lam gamma)^(4-t)."""
    quiet = ("advantage.whiten=false", "advantage.lam=0.5", "sft=none")
    hand = Hand(("algo=ppo", *quiet), [FIVE, [[5, EOS]]], [[2.0], [1.0]], value=0.5)
    known = hand.experience()
    assert rows_of(known.advantage) == [
        [[0.09375, 0.1875, 0.375, 0.75, 1.5]],
        [[0.25, 0.5, 0, 0, 0]],
    ]
    assert known.returns is not None and known.value is not None
    assert rows_of(known.returns) == [[[0.59375, 0.6875, 0.875, 1.25, 2.0]], [[0.75, 1.0, 0, 0, 0]]]
    assert rows_of(known.value)[1] == [[0.5, 0.5, 0, 0, 0]]


def test_whitening_is_over_all_tokens_of_the_rollout() -> None:
    """Rewards-to-go 3 and 1 of two and two tokens: mean 2, deviation 1."""
    hand = Hand(("algo=reinforce_pp", "sft=none"), [[[5, EOS]], [[6, EOS]]], [[3.0], [1.0]])
    assert rows_of(hand.experience().advantage) == [[[1, 1]], [[-1, -1]]]


def test_a_group_of_two_and_a_tie() -> None:
    answers = [[[5, EOS], [6, EOS]], [[7, EOS], [8, EOS]]]
    hand = Hand(("algo=grpo", "sft=none", "advantage.eps=0"), answers, [[3.0, 1.0], [2.0, 2.0]])
    half = round(math.sqrt(0.5), 5)
    assert rows_of(hand.experience().advantage) == [[[half] * 2, [-half] * 2], [[0, 0], [0, 0]]]


def two_streams(form: str) -> Any:
    """Safe RLHF: one token each, V = 0, lambda = 1 at the start."""
    quiet = ("sft=none", "advantage.lam=1.0", "reward.beta=0.5", f"constraint.form={form}")
    answers, scores, costs = [[[5, EOS]], [[6, EOS]]], [[4.0], [1.0]], [[3.0], [-1.0]]
    return Hand(("algo=safe_rlhf", *quiet), answers, scores, costs, moved=True)


@pytest.mark.parametrize("form", ["paper", "exact"])
def test_rewards_and_costs_are_two_streams(form: str) -> None:
    hand = two_streams(form)
    known = hand.experience()
    each = [0.5 * ratio for ratio in ratios([5, EOS])]
    (reward,) = rows_of(known.reward)[0]
    assert reward == pytest.approx([-each[0], 4 - each[1]], abs=2e-5)
    assert known.returns is not None and known.cost_returns is not None
    togo = [4 - each[0] - each[1], 4 - each[1]]
    assert rows_of(known.returns)[0][0] == pytest.approx(togo, abs=3e-5)
    cost = [3.0, 3.0] if form == "exact" else [3 + each[0] + each[1], 3 + each[1]]
    assert rows_of(known.cost_returns)[0][0] == pytest.approx(cost, abs=3e-5)
    mixed = [(a - b) / 2 for a, b in zip(togo, cost, strict=True)]
    assert rows_of(known.advantage)[0][0] == pytest.approx(mixed, abs=3e-5)


def test_the_multiplier_is_that_of_the_rollouts_before() -> None:
    """J - limit = 1 at lambda = 1 and lr 0.1: log lambda is 0.1 for the second rollout."""
    hand = two_streams("exact")
    hand.experience()
    multiplier = hand.parts.constraint.multiplier(hand.module.constraint_state)
    assert float(multiplier) == pytest.approx(math.exp(0.1))
    again = hand.experience()
    each = [0.5 * ratio for ratio in ratios([5, EOS])]
    price = math.exp(0.1)
    assert rows_of(again.advantage)[0][0][1] == pytest.approx(
        (4 - each[1] - price * 3) / (1 + price), abs=3e-5
    )


def test_beta_follows_the_divergence() -> None:
    """Far above the target the error is cut to 0.2, times 2 responses of 20: the next beta is 1.02 of it."""
    quiet = ("sft=none", "penalty.target=1e-6", "penalty.horizon=20", "reward.beta=0.5")
    hand = Hand(("algo=reinforce", *quiet), [[[5, EOS]], [[6, EOS]]], [[0.0], [0.0]], moved=True)
    first, second = (hand.experience().reward[0, 0, 1] for _ in range(2))
    assert float(hand.module.penalty_scale) == pytest.approx(1.02**2)
    assert float(second / first) == pytest.approx(1.02, rel=1e-5)


SAMPLE = ("algo=rloo", "sft=none", "reward.beta=0.5")
BROKEN: dict[str, tuple[Any, str, Any, Any]] = {
    "the sign of the penalty": (
        OnPolicy,
        "penalised",
        lambda self, *given: tuple(-part for part in _PENALISED(self, *given)),
        test_the_baseline_takes_in_the_penalty,
    ),
    "a penalty that is left out": (
        InReward,
        "terms",
        lambda self, divergence, ratio, mask: (torch.zeros_like(ratio), torch.zeros_like(ratio)),
        test_the_penalty_of_tokens_stands_at_each,
    ),
    "scores at the first token": (
        arrow_file,
        "last",
        lambda mask: (mask & (mask.cumsum(-1) == 1)).float(),
        test_unequal_lengths_and_several_samples,
    ),
    "scores at the last place of the table": (
        arrow_file,
        "last",
        lambda mask: torch.eye(mask.shape[-1])[-1].expand(mask.shape),
        test_unequal_lengths_and_several_samples,
    ),
    "costs at the first token": (
        module_file,
        "last",
        lambda mask: (mask & (mask.cumsum(-1) == 1)).float(),
        lambda: test_rewards_and_costs_are_two_streams("exact"),
    ),
    "log-ratios of padding": (
        OnPolicy,
        "ratio",
        lambda self, logp, ref, mask: logp - ref + 0.1,
        test_the_penalty_of_a_response_stands_at_its_end,
    ),
    "the price of length added": (
        OnPolicy,
        "earned",
        lambda self, score, part, mask: masked(
            (score + self.length.offset(mask))[..., None] * arrow_file.last(mask), mask
        ),
        test_the_price_of_length_is_taken_off,
    ),
}
_PENALISED = OnPolicy.penalised


@pytest.mark.parametrize("name", BROKEN)
def test_broken_variants_are_caught(name: str) -> None:
    owner, attribute, broken, check = BROKEN[name]
    check()
    with mutated(owner, attribute, broken), pytest.raises(AssertionError):
        check()
