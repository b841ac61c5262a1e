"""That an objective's declarations about lists are true."""

from __future__ import annotations

import dataclasses
from typing import Any

import torch
from torch import Tensor

from xpo.testing.batches import Toy, toy
from xpo.testing.run_objective import loss as loss_of
from xpo.testing.tools import differ, require, same


def declares_hard_labels(objective: Any) -> None:
    """Surer comparisons, of the same responses and in the same direction."""
    if "comparisons" not in objective.needs or objective.coupled:
        require(
            "comparisons" in objective.needs or not objective.hard_labels,
            "hard_labels=True, of no comparisons",
        )
        return
    t = toy()
    prefer = t.batch.prefer_BKK
    assert prefer is not None
    sure = torch.where(prefer > prefer.transpose(1, 2), 0.95, 0.05) * (prefer + prefer.transpose(1, 2))
    losses = loss_of(objective, t), loss_of(objective, t.replace(prefer_BKK=sure))
    if objective.hard_labels:
        same(*losses, "hard_labels=True, but how sure a comparison is changes the loss")
    else:
        differ(*losses, "hard_labels=False, but how sure a comparison is changes nothing")


def declares_listwise(objective: Any) -> None:
    """Of scores: a list's loss is not the mean of its responses', each as a list of one."""
    if "comparisons" in objective.needs:
        require(
            not (objective.listwise and objective.by_pairs), "listwise=True, but by_pairs=True says otherwise"
        )
        return
    if "scores" not in objective.needs or objective.critic or objective.per_token or objective.coupled:
        return
    t = toy(ragged=False).replace(mass_BK=None)
    alone = torch.stack([loss_of(objective, _one(t, k)) for k in range(3)]).mean(0)
    if objective.listwise:
        differ(alone, loss_of(objective, t), "listwise=True, but each response has a loss of its own")
    else:
        same(alone, loss_of(objective, t), "listwise=False, but responses have no loss of their own", 1e-6)


def _one(t: Toy, k: int) -> Toy:
    """Lists of the k-th response alone."""
    names = ("mask_BKT", "good_BK", "bad_BK", "demo_BK", "score_BK")
    changes: dict[str, Tensor] = {name: getattr(t.batch, name)[:, [k]] for name in names}
    changes |= {
        name: getattr(t.batch, name)[:, [k]][:, :, [k]] for name in ("prefer_BKK", "win_BKK", "margin_BKK")
    }
    values = {name: getattr(t, name)[:, [k]] for name in ("logp_BKT", "ref_logp_BKT", "reward_BK")}
    return dataclasses.replace(t.replace(**changes), **values)


CHECKS = (declares_hard_labels, declares_listwise)
