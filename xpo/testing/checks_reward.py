"""What options of reward, reward_form, reward_level, polarity and margin must keep to."""

from __future__ import annotations

from typing import Any

import torch

from xpo import registry
from xpo.testing.batches import toy
from xpo.testing.checks_head import trained
from xpo.testing.tools import differ, gradient, require, same, variants


def reward_scales(reward: Any) -> None:
    linked = toy().reward_BK
    same(reward(3 * linked), 3 * reward(linked), "the reward is not proportional to the linked log-ratio")
    rises = bool((reward(linked + 1) > reward(linked)).all())
    require(
        rises == reward.reads_reward, f"reads_reward={reward.reads_reward}, but the reward says otherwise"
    )
    require(reward.beta > 0, "beta is not positive")


def relabelling_keeps_masses(reward: Any) -> None:
    """The mass of each compared pair stays, and absent responses stay out of it."""
    if not reward.relabels:
        return
    for name in ("pointwise", "pairwise"):
        t = toy()
        new = reward.relabelled(t.batch, registry.component("reward_form", name)()).prefer_BKK
        old = t.batch.prefer_BKK
        assert old is not None
        same(new + new.transpose(1, 2), old + old.transpose(1, 2), "relabelling moves mass between pairs")
        differ(new, old, "relabelling changes nothing")
        scores = t.batch.score_BK if name == "pointwise" else None
        if scores is not None:
            better = (scores[:, :, None] > scores[:, None, :]) & (old > 0)
            require(bool((new >= new.transpose(1, 2))[better].all()), "a higher score has the smaller share")


def reward_reads_every_field(reward: Any) -> None:
    t = toy()
    for field, other in variants(reward):
        changed = (reward(t.reward_BK) - other(t.reward_BK)).abs().max() > 1e-6
        if reward.relabels:
            form = registry.component("reward_form", "pointwise")()
            pair = [part.relabelled(t.batch, form).prefer_BKK for part in (reward, other)]
            changed = changed | ((pair[0] - pair[1]).abs().max() > 1e-6)
        if reward.trains_head:
            changed = changed | (trained(reward) != trained(other))
        require(bool(changed), f"nothing depends on {field}")


def log_odds_are_antisymmetric(form: Any) -> None:
    if not form.reads:
        return
    t = toy()
    odds = form.log_odds(t.batch)
    same(odds, -odds.transpose(1, 2), "log-odds of i over j and of j over i do not cancel", 1e-9)
    lacking = {"scores": "score_BK", "wins": "win_BKK"}[form.reads]
    try:
        form.log_odds(t.replace(**{lacking: None}).batch)
    except ValueError:
        return
    raise AssertionError(f"reads={form.reads!r}, but does without {lacking}, or fails with no ValueError")


def level_declares_itself(level: Any) -> None:
    t = toy()
    length = registry.component("length", "sum")()
    log_ratio = t.logp_BKT - t.ref_logp_BKT
    curved = registry.component("divergence", "hellinger")()
    found = level.apply(curved, length, log_ratio, t.batch.mask_BKT)
    whole = curved.link(length.pool(log_ratio, t.batch.mask_BKT))
    require(bool(found.any()) == level.gives_reward, f"gives_reward={level.gives_reward} is not so")
    if level.gives_reward:
        same_as_whole = torch.allclose(found, whole)
        require(same_as_whole != level.per_token, f"per_token={level.per_token}, but the link says otherwise")
        straight = registry.component("divergence", "reverse_kl")()
        linear = level.apply(straight, length, log_ratio, t.batch.mask_BKT)
        same(linear, length.pool(log_ratio, t.batch.mask_BKT), "a linear link changes the pooled log-ratio")


def level_reads_no_padding(level: Any) -> None:
    t = toy()
    length, curved = registry.component("length", "sum")(), registry.component("divergence", "forward_kl")()
    clean = level.apply(curved, length, t.logp_BKT, t.batch.mask_BKT)
    leaf = t.logp_BKT.masked_fill(~t.batch.mask_BKT, torch.nan).requires_grad_()
    found = level.apply(curved, length, leaf, t.batch.mask_BKT)
    same(found.detach(), clean, "padding is read")
    require(bool((gradient(found, leaf)[~t.batch.mask_BKT] == 0).all()), "padding has a gradient")


def polarity_declares_itself(polarity: Any) -> None:
    leaf = toy().reward_BK.clone().requires_grad_()
    preferred, dispreferred = polarity.roles(leaf)
    same(dispreferred, leaf, "the dis-preferred side is not the reward itself")
    silent = not bool(gradient(preferred, leaf).any())
    require(silent == polarity.negative_only, f"negative_only={polarity.negative_only} is not so")
    require(not silent or not bool(preferred.any()), "the preferred side is neither the reward nor 0")


def margin_declares_itself(margin: Any) -> None:
    t = toy()
    reward = t.reward_BK + 2.5  # of either sign
    found = torch.as_tensor(margin(t.batch, 0.7, reward)).double()
    moved = torch.as_tensor(margin(t.batch, 0.7, reward + torch.arange(4.0)[:, None])).double()
    require(
        torch.allclose(found, moved) == margin.difference,
        f"difference={margin.difference}, but adding c(x) to the rewards says otherwise",
    )
    fields = {"scores": "score_BK", "margins": "margin_BKK"}
    for need in sorted(margin.needs):
        try:
            margin(t.replace(**{fields[need]: None}).batch, 0.7, reward)
        except ValueError:
            continue
        raise AssertionError(f"needs {need}, but does without, or fails with no ValueError")
    require(bool(torch.isfinite(found).all()), "the margin is not finite")
    require(bool(found.any()) == margin.applies, f"applies={margin.applies}, but the margin is {found}")
    require(bool(margin.formula(0.7)) == margin.applies, "the formula does not show the margin")
    require(bool(margin.latex(0.7)) == margin.applies, "the LaTeX does not show the margin")
    for field, other in variants(margin):
        differ(found, torch.as_tensor(other(t.batch, 0.7, reward)), f"the margin does not depend on {field}")
        require(margin.formula(0.7) != other.formula(0.7), f"the formula's text does not show {field}")


def margin_reads_no_padding(margin: Any) -> None:
    """What stands in for absent responses changes nothing and gets no gradient."""
    t = toy()
    absent_BK = ~t.batch.present_BK
    pairs_BKK = absent_BK[:, :, None] | absent_BK[:, None, :]
    assert t.batch.score_BK is not None and t.batch.margin_BKK is not None
    garbage = t.replace(
        score_BK=t.batch.score_BK.masked_fill(absent_BK, torch.nan),
        margin_BKK=t.batch.margin_BKK.masked_fill(pairs_BKK, torch.nan),
    )
    leaf = t.reward_BK.masked_fill(absent_BK, torch.nan).requires_grad_()
    clean = torch.as_tensor(margin(t.batch, 0.7, t.reward_BK))
    found = torch.as_tensor(margin(garbage.batch, 0.7, leaf))
    same(found.detach(), clean, "the margin reads responses that are not there")
    require(
        bool((gradient(found, leaf)[absent_BK] == 0).all()), "responses that are not there have a gradient"
    )


REWARD = (reward_scales, relabelling_keeps_masses, reward_reads_every_field)
REWARD_FORM = (log_odds_are_antisymmetric,)
REWARD_LEVEL = (level_declares_itself, level_reads_no_padding)
POLARITY = (polarity_declares_itself,)
MARGIN = (margin_declares_itself, margin_reads_no_padding)
