"""The loss of rollouts as they are trained on: ratios, critics, limits, all through stream and module."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import pytest
import torch

from tests.on_policy.hand import EOS, Hand, logps, mutated
from xpo.module.on_policy import OnPolicyModule
from xpo.scored import Steps

ANSWERS = [
    [[5, EOS], [6, 7, 8, 9, EOS]],
    [[7, 7, EOS], [EOS]],
    [[8, 9, 10, 3, 4, 5, 6, EOS], [4, EOS]],
    [[3, 3, 3, EOS], [9, 8, EOS]],
]
SCORES = [[1.0, 3.0], [-1.0, 0.5], [2.0, 2.5], [0.0, 4.0]]


@pytest.mark.parametrize("budget", [10_000, 40, 1])
@pytest.mark.parametrize("preset", ["rloo", "grpo", "gspo"])
def test_on_policy_the_ratio_is_exactly_1(preset: str, budget: int) -> None:
    """Bit by bit, whatever shares a micro-batch: what is trained on is what was scored."""
    hand = Hand((f"algo={preset}", "sft=none"), ANSWERS, SCORES, budget=budget)
    for batch in hand.batches():
        found = hand.module.scores(batch).logp_BKT[batch.mask_BKT]
        assert torch.equal(found.detach(), batch.experience.old_logp[batch.mask_BKT])
    metrics = hand.loss()[1]
    assert metrics["policy/kl_to_old"] == 0.0
    assert metrics.get("policy/ratio", 1.0) == 1.0


def test_leave_one_out_by_a_loop() -> None:
    hand = Hand(("algo=rloo", "sft=none"), ANSWERS, SCORES)
    total = 0.0
    for b, (row, (first, second)) in enumerate(zip(ANSWERS, SCORES, strict=True)):
        for response, advantage in zip(row, (first - second, second - first), strict=True):
            total -= advantage * sum(logps([1, 11 + b], response)) / 2
    assert hand.loss()[0] == pytest.approx(total / 4, rel=1e-5)


def test_ratios_are_clipped_once_the_policy_has_moved() -> None:
    """Old log-probs lowered by 0.5: every ratio is e^0.5 > 1.2, so that positive advantages have no slope."""
    hand = Hand(("algo=grpo", "sft=none", "advantage.eps=0"), ANSWERS[:1], SCORES[:1])
    (batch,) = hand.batches()
    batch.experience.old_logp.sub_(0.5)
    _, metrics = hand.module.evaluate(batch, Steps())
    told = {name: float(a) / float(b) for name, (a, b) in metrics.items() if float(b)}
    half = math.sqrt(0.5)
    better, worse = -1.2 * half, math.exp(0.5) * half
    assert told["policy_loss"] == pytest.approx((better + worse) / 2, rel=1e-5)
    assert told["policy/ratio"] == pytest.approx(math.exp(0.5), rel=1e-5)
    assert told["clip_ratio/high_mean"] == pytest.approx(5 / 7)
    assert told["policy/kl_to_old"] == pytest.approx(math.exp(0.5) - 1 - 0.5, rel=1e-4)


def test_a_critic_learns_returns_as_a_mean_over_tokens() -> None:
    """V = 0.5, returns 2 and 1 (lam = 1): halves of squares 2.25 and 0.25 over 2 + 3 tokens, weighed 0.1."""
    quiet = ("sft=none", "advantage.lam=1.0", "schedule.epochs=1", "schedule.minibatches=1")
    hand = Hand(("algo=ppo", *quiet), [[[5, EOS]], [[6, 7, EOS]]], [[2.0], [1.0]], value=0.5)
    share, metrics = hand.loss()
    value = (2 * 2.25 + 3 * 0.25) / 2 / 5
    assert metrics["value_loss"] == pytest.approx(value, rel=1e-5)
    assert share == pytest.approx(metrics["policy_loss"] + 0.1 * value, rel=1e-4)


def test_a_divergence_in_the_loss() -> None:
    """k3 of each token, averaged within responses, then over them; equal scores leave nothing else."""
    hand = Hand(("algo=grpo", "sft=none", "reward.beta=0.5"), ANSWERS, [[1.0, 1.0]] * 4, moved=True)
    total = 0.0
    for b, row in enumerate(ANSWERS):
        for response in row:
            pairs = zip(logps([1, 11 + b], response), logps([1, 11 + b], response, seed=4), strict=True)
            terms = [math.exp(q - p) - 1 - (q - p) for p, q in pairs]
            total += sum(terms) / len(terms) / 2
    assert hand.loss()[0] == pytest.approx(0.5 * total / 4, rel=1e-4)


def test_entropy_is_added_to_what_is_maximised() -> None:
    quiet = ("algo=rloo", "sft=none")
    plain = Hand(quiet, ANSWERS, SCORES).loss()
    lively = Hand((*quiet, "objective.entropy=0.5"), ANSWERS, SCORES).loss()
    assert "policy/entropy" not in plain[1] and lively[1]["policy/entropy"] > 1
    assert lively[0] < plain[0] - 0.5


def test_who_sampled_is_made_up_for() -> None:
    """The sampler says -1 of every token: a token's loss counts p(token) / e^-1 times, at most 0.001 here."""
    quiet = ("algo=rloo", "sft=none")
    plain = Hand(quiet, ANSWERS, SCORES).loss()[0]
    cut = Hand((*quiet, "objective.truncation=1e-3"), ANSWERS, SCORES).loss()[0]
    assert cut == pytest.approx(1e-3 * plain, rel=1e-5)


def stopping(limit: float) -> Any:
    """Old log-probs lowered by 0.5: e^0.5 - 1.5 = 0.149 nats in each token of every micro-batch but one."""
    quiet = ("algo=ppo", "sft=none", f"objective.stop_kl={limit}")
    hand = Hand(
        (*quiet, "schedule.minibatches=1"), [row[:1] for row in ANSWERS], [s[:1] for s in SCORES], budget=1
    )
    batches = hand.batches()[: hand.plan.micro_batches]
    assert len(batches) == 4
    for batch in batches:
        known = batch.experience
        moved = dataclasses.replace(known, old_logp=known.old_logp - 0.5 * (batch.index_B[0] > 0))
        share, _ = hand.module.evaluate(dataclasses.replace(batch, experience=moved), Steps())
        share.backward()
    return hand


def test_a_rollout_is_left_by_what_all_micro_batches_say() -> None:
    """2 of 17 tokens are where they were: 0.149 x 15 / 17 = 0.131 over the step, though one part says 0."""
    for limit, stops in ((0.12, True), (0.14, False)):
        hand = stopping(limit)
        before = [p.detach().clone() for p in hand.policy.model.parameters()]
        optimizer = torch.optim.AdamW(hand.policy.model.parameters(), lr=0.1, weight_decay=0.1)
        hand.module.on_before_optimizer_step(optimizer)
        optimizer.step()
        still = all(torch.equal(a, p) for a, p in zip(before, hand.policy.model.parameters(), strict=True))
        assert still == stops == bool(hand.module.stopped)
    hand.experience()
    assert not hand.module.stopped, "the next rollout begins anew"


def detached(self: Any, *given: Any, **more: Any) -> Any:
    share, metrics = _EVALUATE(self, *given, **more)
    return share.detach(), metrics


def old_ones_again(self: Any, batches: Any, said: Any) -> Any:
    known = _PREPARE(self, batches, said)
    return type(known)(**{**vars(known), "old_logp": said.sampler_logp_NKT})


_EVALUATE, _PREPARE = OnPolicyModule.evaluate, OnPolicyModule.prepare


def test_a_loss_has_a_gradient() -> None:
    hand = Hand(("algo=rloo", "sft=none"), ANSWERS, SCORES)
    (batch,) = hand.batches()
    share, _ = hand.module.evaluate(batch, Steps())
    assert share.requires_grad
    share.backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in hand.policy.model.parameters())


def test_broken_modules_are_caught() -> None:
    with mutated(OnPolicyModule, "evaluate", detached), pytest.raises(AssertionError):
        test_a_loss_has_a_gradient()
    with mutated(OnPolicyModule, "prepare", old_ones_again), pytest.raises(AssertionError):
        test_on_policy_the_ratio_is_exactly_1("rloo", 10_000)
