"""How every objective must behave."""

from __future__ import annotations

import dataclasses
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import pad

from xpo.testing.batches import toy
from xpo.testing.run_objective import loss as loss_of
from xpo.testing.tools import differ, gradient, require, same


def one_finite_number_per_row(objective: Any) -> None:
    for dtype in (torch.float64, torch.float32, torch.bfloat16):
        t = toy().to(dtype)
        leaf = t.reward_BK.clone().requires_grad_()
        logp = t.logp_BKT.clone().requires_grad_()
        loss = loss_of(objective, dataclasses.replace(t, reward_BK=leaf, logp_BKT=logp))
        require(loss.shape == (4,), f"loss_B has the shape {tuple(loss.shape)} for 4 rows")
        require(bool(torch.isfinite(loss).all()), f"the loss is not finite in {dtype}")
        require(loss.requires_grad, "the loss depends neither on rewards nor on log-probabilities")
        require(bool(torch.isfinite(gradient(loss, leaf)).all()), f"its gradient is not finite in {dtype}")


def precisions_agree(objective: Any) -> None:
    t = toy().to(torch.float32)
    same(loss_of(objective, t), loss_of(objective, t.to(torch.float64)), "float32 and float64 disagree", 1e-5)


def a_row_alone_is_as_in_a_batch(objective: Any) -> None:
    t = toy()
    whole = loss_of(objective, t)
    alone = torch.cat([loss_of(objective, t.rows([b]), whole=t) for b in range(4)])
    same(alone, whole, "a row's loss depends on the other rows")
    order = [2, 0, 3, 1]
    same(
        loss_of(objective, t.rows(order), whole=t), whole[order], "the loss depends on the order of the rows"
    )


def weights_and_totals_are_left_to_the_reduction(objective: Any) -> None:
    t = toy()
    other = t.replace(
        weight_B=3 * t.batch.weight_B, totals=dataclasses.replace(t.batch.totals, rows=1.0, tokens=1.0)
    )
    same(loss_of(objective, other, whole=t), loss_of(objective, t), "loss_B is weighted or reduced already")


def order_of_responses_does_not_matter(objective: Any) -> None:
    t = toy()
    order = torch.tensor([2, 0, 1])
    changes: dict[str, Tensor] = {"mask_BKT": t.batch.mask_BKT[:, order]}
    changes |= {
        name: getattr(t.batch, name)[:, order]
        for name in ("good_BK", "bad_BK", "demo_BK", "score_BK", "mass_BK")
    }
    squares = ("prefer_BKK", "win_BKK", "margin_BKK")
    changes |= {name: getattr(t.batch, name)[:, order][:, :, order] for name in squares}
    moved = t.replace(**changes)
    moved = dataclasses.replace(
        moved,
        reward_BK=t.reward_BK[:, order],
        logp_BKT=t.logp_BKT[:, order],
        ref_logp_BKT=t.ref_logp_BKT[:, order],
    )
    same(loss_of(objective, moved), loss_of(objective, t), "the loss depends on the order of the responses")


def padding_is_not_read(objective: Any) -> None:
    t = toy()
    absent, masked_out = ~t.batch.present_BK, ~t.batch.mask_BKT
    leaf = t.reward_BK.masked_fill(absent, torch.nan).requires_grad_()
    logp = t.logp_BKT.masked_fill(masked_out, torch.nan).requires_grad_()
    ref_logp = t.ref_logp_BKT.masked_fill(masked_out, torch.nan)
    garbage = dataclasses.replace(t, reward_BK=leaf, logp_BKT=logp, ref_logp_BKT=ref_logp)
    assert t.batch.score_BK is not None
    garbage = garbage.replace(score_BK=t.batch.score_BK.masked_fill(absent, 1e6))
    loss = loss_of(objective, garbage)
    same(loss.detach(), loss_of(objective, t), "the loss reads responses or tokens that are not there")
    for name, found, where in (
        ("rewards", gradient(loss, leaf), absent),
        ("logp", gradient(loss, logp), masked_out),
    ):
        require(bool((found[where] == 0).all()), f"{name} that are not there have a gradient")


def further_padding_changes_nothing(objective: Any) -> None:
    t = toy()
    k, kk, kt = (0, 1), (0, 1, 0, 1), (0, 2, 0, 1)
    pads = {"prefer_BKK": kk, "win_BKK": kk, "margin_BKK": kk, "mask_BKT": kt}
    pads |= {"good_BK": k, "bad_BK": k, "demo_BK": k, "score_BK": k, "mass_BK": k}
    longer = t.replace(**{name: pad(getattr(t.batch, name), by) for name, by in pads.items()})
    longer = dataclasses.replace(
        longer,
        reward_BK=pad(t.reward_BK, k),
        logp_BKT=pad(t.logp_BKT, kt),
        ref_logp_BKT=pad(t.ref_logp_BKT, kt),
    )
    same(loss_of(objective, longer), loss_of(objective, t), "the loss depends on how far the batch is padded")


def gradients_are_right(objective: Any) -> None:
    """Those of rewards and log-probabilities; of statistics of distributions some may be stopped."""
    t = toy(rows=2)
    token = {s.name: t.token_BKT(s.name) for s in objective.token_statistics}

    def loss(reward_BK: Tensor, logp_BKT: Tensor) -> Tensor:
        changed = dataclasses.replace(t, reward_BK=reward_BK, logp_BKT=logp_BKT)
        return loss_of(objective, changed, whole=t, token=token)

    leaves = (t.reward_BK.clone().requires_grad_(), t.logp_BKT.clone().requires_grad_())
    torch.autograd.gradcheck(loss, leaves)  # raises with both Jacobians


def a_better_response_should_be_worth_more(objective: Any) -> None:
    """The gradient at equal rewards raises what was preferred, good, scored best, demonstrated.

    Somewhat below the reference or at it: a loss with a target of its own pushes towards that.
    """
    problems = [_wrong_push(objective, reward) for reward in (-0.7, 0.0)]
    require(None in problems, str(problems[0]))


def _wrong_push(objective: Any, level: float) -> str | None:
    t = toy(rows=2, responses=2, ragged=False)
    sure = 0.9 if objective.soft_labels else 1.0
    hard = torch.tensor([[0.0, sure], [1 - sure, 0.0]], dtype=torch.float64).expand(2, 2, 2)
    first = torch.tensor([[1.0, 0.0], [1.0, 0.0]], dtype=torch.float64)
    t = t.replace(
        prefer_BKK=hard, good_BK=first / 2, bad_BK=(1 - first) / 2, demo_BK=first, score_BK=6 * first - 3
    )
    reward = torch.full((2, 2), level, dtype=torch.float64, requires_grad=True)
    logp = t.logp_BKT.clone().requires_grad_()
    loss = loss_of(objective, dataclasses.replace(t, reward_BK=reward, logp_BKT=logp))
    found = gradient(loss, reward) if objective.reads_reward else gradient(loss, logp).sum(-1)
    if not bool((found[:, 0] < 0).all()):
        return "the gradient pushes the better response down, or nowhere"
    if objective.critic and not objective.reads_reward:
        return None  # what is better it tells the critic (checks_critic); the policy may imitate both
    if not bool((found[:, 1] >= 0).all()):
        return "the gradient pushes the worse response up"
    silent = objective.reads_reward and not bool((found[:, 1] > 0).all())
    return "the worse response has no gradient" if silent else None


def a_list_is_the_sum_of_its_pairs(objective: Any) -> None:
    """For comparisons: each pair of a list, as a row of two, with its own mass."""
    if "comparisons" not in objective.needs or objective.coupled:
        return
    t = toy()
    assert t.batch.prefer_BKK is not None and t.batch.good_BK is not None and t.batch.bad_BK is not None
    total = torch.zeros(4, dtype=torch.float64)
    for pair in ([0, 1], [0, 2], [1, 2]):
        changes = {
            "mask_BKT": t.batch.mask_BKT[:, pair],
            "prefer_BKK": t.batch.prefer_BKK[:, pair][:, :, pair],
            "good_BK": t.batch.good_BK[:, pair],
            "bad_BK": t.batch.bad_BK[:, pair],
        }
        two = dataclasses.replace(
            t.replace(**changes),
            reward_BK=t.reward_BK[:, pair],
            logp_BKT=t.logp_BKT[:, pair],
            ref_logp_BKT=t.ref_logp_BKT[:, pair],
        )
        total = total + loss_of(objective, two)
    if objective.by_pairs:
        same(total, loss_of(objective, t), "by_pairs=True, but a list's loss is not the sum over its pairs")
    else:
        differ(total, loss_of(objective, t), "by_pairs=False, but a list's loss is the sum over its pairs")


CHECKS = (
    one_finite_number_per_row,
    precisions_agree,
    a_row_alone_is_as_in_a_batch,
    weights_and_totals_are_left_to_the_reduction,
    order_of_responses_does_not_matter,
    padding_is_not_read,
    further_padding_changes_nothing,
    gradients_are_right,
    a_better_response_should_be_worth_more,
    a_list_is_the_sum_of_its_pairs,
)
