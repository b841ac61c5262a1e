"""What an objective that is no loss of rows, but the gradient of an expected reward, must keep to."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import torch
from torch import Tensor

from xpo.contracts import Context, masked
from xpo.module.on_policy import OnPolicyModule
from xpo.objective.base import Declared
from xpo.on_policy.arrow import OnPolicy
from xpo.on_policy.experience import Experience
from xpo.scored import Scores, Steps
from xpo.testing.batches import Toy, toy
from xpo.testing.tools import differ, gradient, require, same, variants

_OF_ROWS = (
    "needs",
    "difference",
    "absorbs_constant",
    "fixed_beta",
    "nonpositive_reward",
    "soft_labels",
    "hard_labels",
    "listwise",
    "credits_tokens",
    "imitates",
    "statistic_rows",
    "memory",
    "coupled",
    "reads_reference",
    "reads_beta",
    "critic",
    "fits",
)
"""What is declared of losses of given rows: of a gradient of samples nothing reads it, so it says nothing."""


def has_no_loss_of_rows(objective: Any) -> None:
    t = toy()
    try:
        objective(t.reward_BK, t.batch, Context())
    except TypeError as error:
        require("on_policy" in str(error), f"it does not say who has its loss: {error}")
    else:
        raise AssertionError("policy_gradient=True, but given rows have a loss")


def declares_nothing_of_rows(objective: Any) -> None:
    plain = Declared()
    for name in _OF_ROWS:
        wanted = frozenset() if name == "needs" else plain.__getattribute__(name)
        found = objective.__getattribute__(name)
        require(found == wanted, f"{name}={found!r} is about losses of given rows")
    for name in ("reads_reward", "reads_margin", "reads_roles"):
        require(not objective.__getattribute__(name), f"{name}=True, but rows have no loss")
    require(not objective.token_statistics, "its statistics are read by the on-policy arrow, from its fields")
    require(objective.explicit_reward, "what is reinforced is a scorer's reward")
    require(objective.per_token and objective.counts_scores, "it is a sum over the tokens of all samples")
    require(objective.arity == {"single", "pair", "list"}, "any number of samples stands in a row")


def raises_what_did_better(objective: Any) -> None:
    """A step down the loss makes tokens likelier whose advantage is positive, in that proportion."""
    t = toy()
    advantage_BKT = _experience(t).advantage
    plain = dataclasses.replace(objective, **_UNSET)
    leaf = t.logp_BKT.clone().requires_grad_()
    found = gradient(_share(plain, t, leaf), leaf)
    weight_B1 = (t.batch.weight_B[:, None] * t.batch.share_BK)[..., None] / t.batch.totals.rows
    same(found, masked(-weight_B1 * advantage_BKT, t.batch.mask_BKT), "it is not the policy gradient")


def every_field_is_read(objective: Any) -> None:
    t = toy()
    before = [_slopes(objective, t)]
    for field, other in _others(objective):
        differ(_slopes(other, t), before[0], f"{field} changes nothing")


_UNSET: dict[str, Any] = {"entropy": 0.0, "stop_kl": None, "truncation": None}


def _others(objective: Any) -> Iterator[tuple[str, Any]]:
    """Each field with another value: those that numbers give, and limits in the place of null."""
    found = dict(variants(objective))
    for field in dataclasses.fields(objective):
        if objective.__dict__[field.name] is None:
            found[field.name] = dataclasses.replace(objective, **{field.name: 1e-6})
    require(found.keys() == {field.name for field in dataclasses.fields(objective)}, "a field has no variant")
    yield from found.items()


def _slopes(objective: Any, t: Toy) -> Tensor:
    """The loss, its slopes, and whether the rollout is left here."""
    leaf = t.logp_BKT.clone().requires_grad_()
    module = _module(objective)
    share = _share(objective, t, leaf, module)
    left = torch.tensor([float(objective.stop_kl is not None and module.too_far())])
    return torch.cat([share.detach()[None], gradient(share, leaf).flatten(), left.to(share)])


def _module(objective: Any) -> OnPolicyModule:
    """The on-policy module, with the plainest of everything else."""
    from xpo.constraint.none import NoConstraint
    from xpo.critic.none import NoCritic
    from xpo.penalty.none import NoPenalty
    from xpo.policy_loss.reinforce import Reinforce
    from xpo.reduce.rows import Rows
    from xpo.sft.none import NoSFT
    from xpo.weighting.none import NoWeighting

    unread = dict.fromkeys(("reward", "reward_level", "length", "divergence", "polarity", "advantage"))
    arrow = OnPolicy(
        **unread,
        objective=objective,
        policy_loss=Reinforce(),
        reduce=Rows(),
        constraint=NoConstraint(),
        critic=NoCritic(),
        penalty=NoPenalty(),
        sft=NoSFT(),
        weighting=NoWeighting(),
    )
    return OnPolicyModule(None, arrow, None, SimpleNamespace(moving=None), None, 1)


def _share(objective: Any, t: Toy, logp_BKT: Tensor, module: OnPolicyModule | None = None) -> Tensor:
    module = module or _module(objective)
    batch = dataclasses.replace(t.batch, experience=_experience(t))
    token = {s.name: t.token_BKT(s.name) - 0.3 * logp_BKT for s in module.arrow.token_statistics}
    scores = Scores(logp_BKT, t.ref_logp_BKT, token=token)
    return module.evaluate(batch, Steps(), scores=scores)[0]


def _experience(t: Toy) -> Experience:
    """As if a policy near this one had drawn the tokens, with a sampler whose numbers are a little off."""
    mask_BKT = t.batch.mask_BKT
    known = {
        "old_logp": t.logp_BKT + 0.05 * torch.sin(7 * t.ref_logp_BKT),
        "ref_logp": t.ref_logp_BKT,
        "advantage": torch.cos(5 * t.ref_logp_BKT),
        "reward": torch.sin(5 * t.ref_logp_BKT),
        "sampler_logp": t.logp_BKT + 0.03 * torch.cos(9 * t.ref_logp_BKT),
    }
    return Experience(**{name: masked(value, mask_BKT) for name, value in known.items()})


CHECKS = (has_no_loss_of_rows, declares_nothing_of_rows, raises_what_did_better, every_field_is_read)
