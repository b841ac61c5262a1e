"""What an advantage estimator must keep to."""

from __future__ import annotations

import dataclasses
from typing import Any

import torch
from torch import Tensor

from xpo.testing.tools import differ, require, same, variants

_MASK = torch.tensor(
    [
        [[1, 1, 1, 1, 1], [1, 1, 0, 0, 0], [1, 1, 1, 0, 0]],
        [[0, 1, 1, 1, 0], [0, 1, 1, 1, 1], [0, 0, 0, 0, 0]],
    ]
).bool()


def _draw(seed: int) -> Tensor:
    draw = torch.Generator().manual_seed(seed)
    return torch.randn(_MASK.shape, generator=draw, dtype=torch.float64)


def _found(option: Any, reward: Tensor, mask: Tensor = _MASK, own: Tensor | None = None) -> Any:
    value = _draw(1)[:, : mask.shape[1]] if option.reads_value else None
    return option(reward, value, mask, own)


def _plain(option: Any) -> Any:
    """Without whitening, which ties all tokens of a rollout together."""
    return dataclasses.replace(option, whiten=False) if "whiten" in vars(option) else option


def declares_reads_value(option: Any) -> None:
    if not option.applies:
        return
    reward, value = _draw(0), _draw(1)
    if not option.reads_value:
        found = option(reward, value, _MASK)
        same(
            found.advantage_BKT,
            option(reward, None, _MASK).advantage_BKT,
            "reads_value=False, but it reads one",
        )
        require(found.return_BKT is None, "returns for a critic that it does not read")
        return
    found = option(reward, value, _MASK)
    moved = value.clone()
    moved[0, 0, 0] += 1
    differ(
        option(reward, moved, _MASK).advantage_BKT,
        found.advantage_BKT,
        "reads_value=True, but no value counts",
    )
    require(found.return_BKT is not None, "it reads a critic, and gives it nothing to learn")
    try:
        option(reward, None, _MASK)
    except ValueError:
        return
    raise AssertionError("without a value it must raise a ValueError")


def declares_several(option: Any) -> None:
    if not option.applies:
        return
    try:
        _found(option, _draw(0)[:, :1], _MASK[:, :1])
    except ValueError:
        require(option.several, "several=False, but it refuses single samples")
        return
    require(not option.several, "several=True, but it takes single samples")


def declares_to_go(option: Any) -> None:
    """Rewards before token t reach its advantage, or do not."""
    if not option.applies:
        return
    reward = _draw(0)
    moved = reward.clone()
    moved[0, 0, 0] += 1
    before, after = (_found(_plain(option), r).advantage_BKT[0, 0, 1:] for r in (reward, moved))
    changed = bool((before - after).abs().max() > 1e-9)
    require(changed != option.to_go, f"to_go={option.to_go}, but the advantages say otherwise")


def later_rewards_count(option: Any) -> None:
    """The last token's reward raises the advantage of every token of its response."""
    if not option.applies:
        return
    reward = _draw(0)
    moved = reward.clone()
    moved[0, 0, 4] += 0.1
    before, after = (_found(_plain(option), r).advantage_BKT[0, 0] for r in (reward, moved))
    require(bool((after > before).all()), "a better end does not raise the advantages before it")


def padding_is_not_read(option: Any) -> None:
    if not option.applies:
        return
    reward, value, own = (_draw(seed) for seed in range(3))
    value = value if option.reads_value else None
    dirty = [None if x is None else x.masked_fill(~_MASK, torch.nan) for x in (reward, value, own)]
    clean = option(reward, value, _MASK, own)
    found = option(dirty[0], dirty[1], _MASK, dirty[2])
    for name, one, other in zip(
        ("advantage", "return"), vars(found).values(), vars(clean).values(), strict=True
    ):
        if one is not None:
            same(one, other, f"the {name} reads tokens that are not there")
            require(bool((one[~_MASK] == 0).all()), f"the {name} is not 0 outside the mask")


def masks_are_places(option: Any) -> None:
    """A response means the same wherever its tokens stand."""
    if not option.applies:
        return
    reward, value = _draw(0), _draw(1) if option.reads_value else None
    here = option(reward[1:], None if value is None else value[1:], _MASK[1:]).advantage_BKT
    moved = [None if x is None else x[1:].roll(-1, -1) for x in (reward, value, _MASK)]
    there = option(moved[0], moved[1], moved[2]).advantage_BKT
    same(there, here.roll(-1, -1), "leading tokens that do not train change the others")


def samples_have_no_order(option: Any) -> None:
    if not option.applies:
        return
    order = [2, 0, 1]
    reward, value = _draw(0), _draw(1) if option.reads_value else None
    found = option(reward[:, order], None if value is None else value[:, order], _MASK[:, order])
    same(
        found.advantage_BKT, option(reward, value, _MASK).advantage_BKT[:, order], "the samples' order counts"
    )


def the_absent_do_not_count(option: Any) -> None:
    """A prompt with one response less is the same with and without the empty place."""
    if not option.applies:
        return
    reward, value = _draw(0)[1:], _draw(1)[1:] if option.reads_value else None
    whole = option(reward, value, _MASK[1:]).advantage_BKT
    less = option(reward[:, :2], None if value is None else value[:, :2], _MASK[1:, :2]).advantage_BKT
    same(less, whole[:, :2], "a response that is not there counts")


def own_stays_at_its_token(option: Any) -> None:
    if not option.applies:
        return
    own = torch.zeros(_MASK.shape, dtype=torch.float64)
    own[0, 0, 2] = 0.5
    plain = _plain(option)
    with_own, without = _found(plain, _draw(0), own=own), _found(plain, _draw(0))
    moved = with_own.advantage_BKT - without.advantage_BKT
    require(bool(moved[0, 0, 2] > 1e-9), "what belongs to a token does not reach it")
    moved[0, 0, 2] = 0
    same(moved, torch.zeros_like(moved), "what belongs to one token reaches others")
    if without.return_BKT is not None:
        same(with_own.return_BKT, without.return_BKT, "what belongs to one token reaches the critic")


def its_text_shows_its_settings(option: Any) -> None:
    if not option.applies:
        return
    require(all(text.isascii() for text in _told(option)), f"its texts are {_told(option)}")
    for field, other in variants(option):
        require(_told(option) != _told(other), f"the text does not show {field}")


def _told(option: Any) -> tuple[str, ...]:
    return option.text("reward", "value"), option.own_text("own"), option.scaled_text("x", "reward")


CHECKS = (
    declares_reads_value,
    declares_several,
    declares_to_go,
    later_rewards_count,
    padding_is_not_read,
    masks_are_places,
    samples_have_no_order,
    the_absent_do_not_count,
    own_stays_at_its_token,
    its_text_shows_its_settings,
)
