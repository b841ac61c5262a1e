"""That an objective's declarations are true."""

from __future__ import annotations

import dataclasses
from typing import Any

import torch
from torch import Tensor

from xpo.contracts import FEEDBACK
from xpo.testing.batches import Toy, toy
from xpo.testing.run_objective import loss as loss_of
from xpo.testing.tools import differ, gradient, require, same, variants

FIELDS = {
    "comparisons": ("prefer_BKK",),
    "labels": ("good_BK", "bad_BK"),
    "scores": ("score_BK",),
    "wins": ("win_BKK",),
    "demonstrations": ("demo_BK",),
    "margins": ("margin_BKK",),
    "costs": ("cost_BK",),
}


def declares_reads_reward(objective: Any) -> None:
    """Every row's reward does, at some rewards at least: hinges and clips are flat at others."""
    read_B = torch.stack([_rows_read(objective, toy(seed=seed)) for seed in range(4)])
    rows = read_B.any(0).all() if objective.reads_reward else read_B.any()
    require(
        bool(rows) == objective.reads_reward,
        f"reads_reward={objective.reads_reward}, but the gradient says otherwise",
    )


def _rows_read(objective: Any, t: Toy) -> Tensor:
    leaf = t.reward_BK.clone().requires_grad_()
    found = gradient(loss_of(objective, dataclasses.replace(t, reward_BK=leaf)), leaf)
    return (found != 0).any(1)


def declares_difference(objective: Any) -> None:
    if not objective.reads_reward:
        return
    t = toy()
    shift = -torch.tensor([0.3, 0.7, 1.1, 2.0], dtype=torch.float64)[:, None]
    shifted = loss_of(objective, dataclasses.replace(t, reward_BK=t.reward_BK + shift))
    if objective.difference:
        same(
            shifted, loss_of(objective, t), "difference=True, but adding c(x) to the rewards changes the loss"
        )
    else:
        differ(
            shifted, loss_of(objective, t), "difference=False, but adding c(x) to the rewards changes nothing"
        )


def declares_needs(objective: Any) -> None:
    require(objective.needs <= FEEDBACK, f"needs={sorted(objective.needs)} is not of {sorted(FEEDBACK)}")
    t = toy()
    others = [name for need in FEEDBACK - objective.needs for name in FIELDS[need]]
    same(
        loss_of(objective, t.replace(**dict.fromkeys(others))),
        loss_of(objective, t),
        "it reads more than it needs",
    )
    for need in sorted(objective.needs):
        for name in FIELDS[need]:
            try:
                loss_of(objective, t.replace(**{name: None}))
            except ValueError:
                continue
            raise AssertionError(f"needs {need}, but does without {name}, or fails with no ValueError")


def declares_margin(objective: Any) -> None:
    t = toy()
    plain, with_margin = loss_of(objective, t), loss_of(objective, t, margin_BKK=0.4)
    if objective.reads_margin:
        differ(plain, with_margin, "reads_margin=True, but a margin changes nothing")
    else:
        same(plain, with_margin, "reads_margin=False, but a margin changes the loss")


def declares_roles(objective: Any) -> None:
    t = toy()
    plain = loss_of(objective, t)
    negative = loss_of(objective, t, roles=lambda reward: (torch.zeros_like(reward), reward))
    if objective.reads_roles:
        differ(plain, negative, "reads_roles=True, but polarity changes nothing")
    else:
        same(plain, negative, "reads_roles=False, but polarity changes the loss")


def declares_beta(objective: Any) -> None:
    t = toy()
    plain, other = loss_of(objective, t), loss_of(objective, t, beta=0.35)
    if objective.reads_beta:
        differ(plain, other, "reads_beta=True, but beta changes nothing")
    else:
        same(plain, other, "reads_beta=False, but beta changes the loss")


def declares_soft_labels(objective: Any) -> None:
    """Certain comparisons are refused, not infinite; what is not compared is no comparison."""
    if "comparisons" not in objective.needs or objective.coupled:
        return
    t = toy()
    prefer = t.batch.prefer_BKK
    assert prefer is not None
    try:
        hard = loss_of(objective, t.replace(prefer_BKK=prefer.triu()))
    except ValueError:
        require(objective.soft_labels, "soft_labels=False, but a certain comparison is refused")
    else:
        require(not objective.soft_labels, "soft_labels=True, but a certain comparison has a loss")
        require(bool(torch.isfinite(hard).all()), "the loss of a certain comparison is not finite")
    nothing = loss_of(objective, t.replace(prefer_BKK=torch.zeros_like(prefer)))
    require(bool(torch.isfinite(nothing).all()), "a row without comparisons has no finite loss")


def declares_unbiased(objective: Any) -> None:
    """The gradient at the mean of two labellings is the mean of their gradients."""
    if objective.coupled or not {"comparisons", "labels"} & objective.needs:
        return
    t, other = toy(), toy(seed=4)
    names = ("prefer_BKK", "good_BK", "bad_BK")
    present = t.batch.present_BK.double()
    masks = (present[:, :, None] * present[:, None, :], present, present)
    found = []
    for share in (0.0, 0.5, 1.0):
        mixed = {
            name: mask * ((1 - share) * getattr(t.batch, name) + share * getattr(other.batch, name))
            for name, mask in zip(names, masks, strict=True)
        }
        leaf, logp = t.reward_BK.clone().requires_grad_(), t.logp_BKT.clone().requires_grad_()
        loss = loss_of(objective, dataclasses.replace(t.replace(**mixed), reward_BK=leaf, logp_BKT=logp))
        found.append(gradient(loss, leaf if objective.reads_reward else logp))
    linear = bool(torch.allclose((found[0] + found[2]) / 2, found[1], atol=1e-9))
    require(
        linear == objective.unbiased_in_labels,
        f"unbiased_in_labels={objective.unbiased_in_labels}, but the gradient says otherwise",
    )


def _is_a_chain(objective: Any, t: Toy) -> bool:
    """A sum over tokens that each see the next one too: [0, 4) + [2, 5) = [0, 5) + [2, 4)."""
    at = torch.arange(5)

    def part(start: int, end: int) -> Tensor:
        keep = (at >= start) & (at < end)
        return loss_of(objective, t.replace(mask_BKT=t.batch.mask_BKT & keep))

    whole = part(0, 5)
    is_sum = bool(torch.allclose(part(0, 4) + part(2, 5), whole + part(2, 4)))
    return is_sum and not torch.allclose(whole, part(2, 4))


def declares_per_token(objective: Any) -> None:
    """A sum over tokens: the loss of a response is that of its first tokens plus that of the others."""
    t = toy(ragged=False)
    first = torch.arange(5) < 2
    parts = [loss_of(objective, t.replace(mask_BKT=t.batch.mask_BKT & keep)) for keep in (first, ~first)]
    additive = bool(torch.allclose(parts[0] + parts[1], loss_of(objective, t)))
    additive = additive or bool(objective.critic and _is_a_chain(objective, t))
    require(additive == objective.per_token, f"per_token={objective.per_token}, but the loss says otherwise")


def every_field_is_read(objective: Any) -> None:
    """At rewards of the usual size, or at ten times them: some fields are bounds."""
    t = toy()
    sizes = (t, dataclasses.replace(t, reward_BK=10 * t.reward_BK))
    for field, other in variants(objective):
        if objective.token_statistics == other.token_statistics:
            one, two = (
                torch.cat([_loss_and_slopes(part, size) for size in sizes]) for part in (objective, other)
            )
            differ(one, two, f"neither the loss nor its gradient depends on {field}")
        texts = [(part.definitions, part.text("r", "r", "")) for part in (objective, other)]
        require(texts[0] != texts[1], f"the formula's text does not show {field}")


def _loss_and_slopes(objective: Any, t: Toy) -> torch.Tensor:
    """Of rewards and of log-probabilities: a field may stop a gradient and leave the value."""
    leaves = t.reward_BK.clone().requires_grad_(), t.logp_BKT.clone().requires_grad_()
    loss = loss_of(objective, dataclasses.replace(t, reward_BK=leaves[0], logp_BKT=leaves[1]))
    return torch.cat([loss.detach(), *(gradient(loss, leaf).flatten() for leaf in leaves)])


def declares_token_statistics(objective: Any) -> None:
    """What it asks for it reads, with a gradient where the statistic has one; nothing where no token is."""
    t = toy()
    for statistic in objective.token_statistics:
        leaf = t.token_BKT(statistic.name).masked_fill(~t.batch.mask_BKT, torch.nan).requires_grad_()
        loss = loss_of(objective, t, token={statistic.name: leaf})
        require(bool(torch.isfinite(loss).all()), f"{statistic.name} is read where there is no token")
        if statistic.differentiable:
            found = gradient(loss, leaf)
            require(bool((found != 0).any()), f"{statistic.name} has no gradient")
            require(bool((found[~t.batch.mask_BKT] == 0).all()), f"{statistic.name} has one without a token")
        else:
            other = loss_of(objective, t, token={statistic.name: leaf.detach() - 0.5})
            differ(loss, other, f"nothing depends on {statistic.name}")


CHECKS = (
    declares_reads_reward,
    declares_difference,
    declares_needs,
    declares_margin,
    declares_roles,
    declares_beta,
    declares_soft_labels,
    declares_unbiased,
    declares_per_token,
    declares_token_statistics,
    every_field_is_read,
)
