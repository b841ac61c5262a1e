"""The options that a folder's config.json names: each is one, and together they say how a head is read."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from xpo.compose.composition import component
from xpo.compose.errors import ConfigError
from xpo.errors import UserError

GROUPS = ("reward_form", "reward_level", "length", "reward")
"""Options that say what a head's numbers are made of."""


def check_options(node: Mapping[str, Any], where: str) -> None:
    """``UserError`` for options that do not exist, or that no run with a head leaves; ``where`` begins it."""
    made = {}
    for group in GROUPS:
        if not isinstance(node[group], dict) or not isinstance(node[group].get("name"), str):
            raise UserError(f"{where}.{group} must be an option with a name, got {node[group]!r:.80}")
        try:
            made[group] = component(group, node[group])
        except ConfigError as error:
            raise UserError(f"{where}.{group} is {node[group]!r:.200}, which is none: {error}") from None
    reward, form, level = made["reward"], made["reward_form"], made["reward_level"]
    wrong = {
        "reward": ("trains no head", not reward.trains_head),
        "reward_form": ("no head gives", not form.has_head),
        "reward_level": ("gives no reward", not level.gives_reward),
    }
    for group, (why, so) in wrong.items():
        if so:
            raise UserError(
                f"{where}.{group} is {node[group]['name']}, which {why}: no run with reward=head leaves that"
            )
    if reward.together and (not form.of_pairs or level.per_token):
        raise UserError(
            f"{where}.reward reads two responses together, and {where}.reward_form is "
            f"{node['reward_form']['name']} and reward_level {node['reward_level']['name']}"
        )
