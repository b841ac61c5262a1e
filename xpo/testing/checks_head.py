"""What rewards and forms that have a trained head must keep to."""

from __future__ import annotations

from typing import Any

import torch

from xpo import registry
from xpo.testing.batches import toy
from xpo.testing.tools import differ, gradient, require, same


def trained(reward: Any) -> tuple[Any, ...]:
    """What a run makes of a reward's head: its size under each form, and its rate."""
    heads = [_head(form, reward) for form in _forms() if form.has_head]
    return (*(head.score.weight.shape for head in heads), reward.lr_scale)


def _forms() -> list[Any]:
    return [registry.component("reward_form", name)() for name in registry.names("reward_form")]


def _head(form: Any, reward: Any, seed: int = 0) -> Any:
    return form.head(reward, 6, seed, torch.float64)


def a_head_gives_rewards_without_a_link(reward: Any) -> None:
    """What a head says is the reward: neither scaled, nor relabelled."""
    if not reward.trains_head:
        return
    scores = toy().reward_BK
    same(reward(scores), scores, "a head's scores are changed on the way")
    require(reward.beta == 1, f"beta={reward.beta}, and a head's scores have no other scale than their own")
    require(not reward.relabels, "a head is trained, so that it cannot give the labels")


def head_declares_itself(form: Any) -> None:
    """has_head, of_pairs; two orders cancel exactly; the seed decides; every member is trained."""
    reward = registry.component("reward", "head")(members=1)
    if not form.has_head:
        try:
            _head(form, reward)
        except ValueError:
            return
        raise AssertionError("has_head=False, but it gives a head, or fails with no ValueError")
    t, head = toy(), _head(form, reward)
    states = torch.randn(
        *t.reward_BK.shape, 6, dtype=torch.float64, generator=torch.Generator().manual_seed(0)
    )
    opinions = head(head.features(states), t.batch.present_BK)
    require(len(opinions) == head.members == 1, f"{head.members} members, but {len(opinions)} opinions")
    odds = opinions[0].log_odds_BKK
    require((odds is not None) == form.of_pairs, f"of_pairs={form.of_pairs}, but the head says otherwise")
    if odds is not None:
        require(torch.equal(odds, -odds.transpose(1, 2)), "log-odds of two orders do not cancel exactly")
    require(not bool(opinions[0].reward_BK[~t.batch.present_BK].any()), "absent responses have a reward")
    require(torch.equal(head.score.weight, _head(form, reward).score.weight), "the seed does not decide")
    differ(head.score.weight, _head(form, reward, 1).score.weight, "the seed changes nothing")
    found = gradient(opinions[0].reward_BK if odds is None else odds.triu(), head.score.weight)
    require(bool(found.any(1).all()), "an output of the head is not trained")


REWARD = (a_head_gives_rewards_without_a_link,)
REWARD_FORM = (head_declares_itself,)
