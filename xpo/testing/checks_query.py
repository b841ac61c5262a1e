"""What a choice of what is labelled must keep to."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import torch

from xpo.query.base import Told
from xpo.testing.tools import require

_N, _M, _K, _D = 12, 3, 2, 5


def _told(count: int = _N, seed: int = 0, size: int = _K) -> list[Told]:
    """Members' scores of each response, and features that they are no function of."""
    draw = torch.Generator().manual_seed(seed)
    score_NMK = torch.randn(count, _M, size, generator=draw)
    feature_NKD = torch.randn(count, size, _D, generator=draw)
    return [
        Told(score_MK[:, :, None] - score_MK[:, None, :], feature_KD)
        for score_MK, feature_KD in zip(score_NMK, feature_NKD, strict=True)
    ]


def _turned(told: Told) -> Told:
    """The same responses in the other order."""
    assert told.feature_KD is not None
    return Told(told.log_odds_MKK.flip(1, 2), told.feature_KD.flip(0))


def _chosen(
    query: Any, candidates: Sequence[Told], labelled: Sequence[Told] = (), seed: int = 0
) -> list[int]:
    return query.choose(candidates, labelled, torch.Generator().manual_seed(seed))


def _drawn(query: Any, seed: int = 0) -> list[int]:
    return query.drawn(_N, torch.Generator().manual_seed(seed))


def declares_one_kind(query: Any) -> None:
    """What reads features or members reads odds, and what reads odds chooses."""
    require(not query.reads_features or query.reads_odds, "reads_features=True, but reads_odds=False")
    require(not query.several or query.reads_odds, "several=True, but reads_odds=False")
    require(not query.reads_odds or query.chooses, "reads_odds=True, but chooses=False")


def keeps_to_the_budget(query: Any) -> None:
    if not query.chooses:
        return
    for budget in (1, 5, _N, 3 * _N):
        some = dataclasses.replace(query, budget=budget)
        choices = [_drawn(some), *([_chosen(some, _told(), _told(4, 1))] if query.reads_odds else [])]
        for places in choices:
            require(len(places) == min(budget, _N), f"budget={budget} of {_N} has {len(places)} labelled")
            require(len(set(places)) == len(places), "one is chosen twice")
            require(set(places) <= set(range(_N)), "a place is none of the candidates'")


def is_a_function_of_its_random_numbers(query: Any) -> None:
    if not query.chooses:
        return
    some = dataclasses.replace(query, budget=4)
    require(_drawn(some) == _drawn(some), "the same generator draws others")
    require(len({tuple(_drawn(some, seed)) for seed in range(5)}) > 1, "a first draw does not read it")
    if query.reads_odds:
        require(_chosen(some, _told()) == _chosen(some, _told()), "the same generator chooses others")


def order_does_not_matter(query: Any) -> None:
    """Neither that of candidates nor that of a candidate's responses."""
    if not query.reads_odds:
        return
    some, told, labelled = dataclasses.replace(query, budget=5), _told(size=3), _told(3, 1, 3)
    chosen = set(_chosen(some, told, labelled))
    backwards = {_N - 1 - place for place in _chosen(some, told[::-1], labelled[::-1], seed=1)}
    require(chosen == backwards, "the order of candidates matters")
    turned = set(_chosen(some, [_turned(one) for one in told], [_turned(one) for one in labelled]))
    require(chosen == turned, "the order of a candidate's responses matters")


def equal_ones_are_drawn(query: Any) -> None:
    if not query.reads_odds:
        return
    some, alike = dataclasses.replace(query, budget=2), _told(1) * _N
    found = {place for seed in range(20) for place in _chosen(some, alike, seed=seed)}
    require(len(found) > _N // 2, "of equal candidates the same ones are always chosen")


def members_that_agree_come_last(query: Any) -> None:
    if not query.several:
        return
    told = _told()
    told[4] = dataclasses.replace(told[4], log_odds_MKK=told[4].log_odds_MKK[:1].expand(_M, -1, -1))
    order = _chosen(dataclasses.replace(query, budget=_N), told)
    require(order[-1] == 4, "members that agree are taken to disagree")


def what_is_labelled_is_read(query: Any) -> None:
    """By what reads features: the like of what is labelled tells less."""
    if not query.reads_features:
        return
    feature_DD = torch.eye(_D)
    even = torch.zeros(1, _K, _K)
    told = [Told(even, torch.stack([feature_D, -feature_D])) for feature_D in feature_DD]
    for place in range(_D):
        order = _chosen(dataclasses.replace(query, budget=_D), told, [told[place]])
        require(order[-1] == place, "what is labelled already tells as much as what is not")


CHECKS = (
    declares_one_kind,
    keeps_to_the_budget,
    is_a_function_of_its_random_numbers,
    order_does_not_matter,
    equal_ones_are_drawn,
    members_that_agree_come_last,
    what_is_labelled_is_read,
)
