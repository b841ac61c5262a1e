"""Rollouts of a few tokens with their advantages, worked out by hand. ``_`` is where no token is."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from xpo.advantage.gae import GAE
from xpo.advantage.group import Group
from xpo.advantage.leave_one_out import LeaveOneOut
from xpo.advantage.n_step import NStep
from xpo.advantage.returns import Returns

_ = math.nan
Table = list[list[float]]  # K responses x T tokens of one prompt

REWARD, VALUE = [[0.0, 1.0, 0.0, -1.0, 2.0]], [[1.0, 2.0, 0.0, 1.0, 2.0]]
TOTALS = [[1.0, _, _], [0.5, 0.5, 1.0], [7.0, -1.0, _]]  # 1, 2, 6
TWO = [[0.0, 1.0], [3.0, _]]
STEP = 0.5  # of tokens whose advantage is added to what they own


@dataclass(frozen=True)
class Trace:
    """One prompt. Where a reward is NaN no token is; ``value`` and ``own`` hold garbage there."""

    name: str
    option: Any
    reward: Table
    advantage: Table
    value: Table | None = None
    returns: Table | None = None
    own: Table | None = None

    def wrong(self, option: Any) -> str:
        """What an option says other than this; empty if nothing."""
        reward = torch.tensor([self.reward], dtype=torch.float64)
        found = option(reward, _given(self.value), ~reward.isnan(), _given(self.own))
        for got, wanted in ((found.advantage_BKT, self.advantage), (found.return_BKT, self.returns)):
            if wanted is None or got is None:
                if got is not wanted:
                    return f"{got}, not {wanted}"
            elif not torch.allclose(got, torch.nan_to_num(_tensor(wanted)), rtol=1e-12, atol=1e-12):
                return f"{got}, not {wanted}"
        return ""


def _tensor(table: Table) -> Tensor:
    return torch.tensor([table], dtype=torch.float64)


def _given(table: Table | None) -> Tensor | None:
    return None if table is None else _tensor(table)


TRACES = [
    # d = [0 + 2/2 - 1, 1 + 0 - 2, 0 + 1/2 - 0, -1 + 2/2 - 1, 2 - 2] = [0, -1, 1/2, -1, 0], discounted by 1/4
    Trace(
        "gae",
        GAE(gamma=0.5, lam=0.5, whiten=False),
        REWARD,
        [[-0.234375, -0.9375, 0.25, -1.0, 0.0]],
        VALUE,
        [[0.765625, 1.0625, 0.25, 0.0, 2.0]],
    ),
    # the same tokens after one that does not train, beside a response of one token: d = 3 - 1
    Trace(
        "gae, masks",
        GAE(gamma=0.5, lam=0.5, whiten=False),
        [[_, *REWARD[0]], [3.0, _, _, _, _, _]],
        [[_, -0.234375, -0.9375, 0.25, -1.0, 0.0], [2.0, _, _, _, _, _]],
        [[9.0, *VALUE[0]], [1.0, 9.0, 9.0, 9.0, 9.0, 9.0]],
        [[_, 0.765625, 1.0625, 0.25, 0.0, 2.0], [3.0, _, _, _, _, _]],
    ),
    # rewards to go [1, 3] and [5, 7], V = 0: mean 4, variance (9 + 1 + 1 + 9) / 4 = 5
    Trace(
        "gae, whitened; the critic's returns are not",
        GAE(gamma=1.0, lam=1.0, whiten=True),
        [[-2.0, 3.0, _], [-2.0, 7.0, _]],
        [[x / math.sqrt(5 + 1e-8) for x in row] for row in ([-3.0, -1.0, _], [1.0, 3.0, _])],
        [[0.0, 0.0, _], [0.0, 0.0, _]],
        [[1.0, 3.0, _], [5.0, 7.0, _]],
    ),
    # own [2, 0] and [0, 0] make [3, 3] and [5, 7]: mean 4.5, variance (2.25 + 2.25 + 0.25 + 6.25) / 4 = 2.75
    Trace(
        "gae, what tokens own is whitened, and no return",
        GAE(gamma=1.0, lam=1.0, whiten=True),
        [[-2.0, 3.0], [-2.0, 7.0]],
        [[x / math.sqrt(2.75 + 1e-8) for x in row] for row in ([-1.5, -1.5], [0.5, 2.5])],
        [[0.0, 0.0], [0.0, 0.0]],
        [[1.0, 3.0], [5.0, 7.0]],
        [[2.0, 0.0], [0.0, 0.0]],
    ),
    # R = [0 + 1/2 + 0/4, 1 + 0/2 + 1/4, 0 - 1/2 + 2/4, -1 + 2/2, 2]
    Trace(
        "2 steps",
        NStep(gamma=0.5, steps=2),
        REWARD,
        [[-0.5, -0.75, 0.0, -1.0, 0.0]],
        VALUE,
        [[0.5, 1.25, 0.0, 0.0, 2.0]],
    ),
    Trace(
        "steps to the end",
        NStep(gamma=0.5, steps=None),
        REWARD,
        [[-0.5, -1.0, 0.0, -1.0, 0.0]],
        VALUE,
        [[0.5, 1.0, 0.0, 0.0, 2.0]],
    ),
    Trace("returns", Returns(), REWARD, [[2.0, 2.0, 1.0, 1.0, 2.0]]),
    Trace("returns, discounted", Returns(gamma=0.5), REWARD, [[0.5, 1.0, 0.0, 0.0, 2.0]]),
    Trace(
        "returns, whitened",
        Returns(whiten=True),
        [[-2.0, 3.0, _], [-2.0, 7.0, _]],
        [[x / math.sqrt(5 + 1e-8) for x in row] for row in ([-3.0, -1.0, _], [1.0, 3.0, _])],
    ),
    # totals 2 and 4, rewards to go [2, 1, 1] and [4, 4]; half of what a token owns, as of its reward, is left
    Trace(
        "returns, the group's mean off",
        Returns(baseline="group"),
        [[1.0, 0.0, 1.0], [0.0, 4.0, _]],
        [[-1.0, -2.0 + STEP / 2, -2.0], [1.0, 1.0, _]],
        own=[[0.0, STEP, 0.0], [0.0, 0.0, _]],
    ),
    Trace(
        "returns, the others' mean off",
        Returns(baseline="leave_one_out"),
        [[1.0, 0.0, 1.0], [0.0, 4.0, _]],
        [[-2.0, -3.0 + STEP, -3.0], [2.0, 2.0, _]],
        own=[[0.0, STEP, 0.0], [0.0, 0.0, _]],
    ),
    Trace("returns, alone", Returns(baseline="group"), [[1.0, 0.0, 1.0], [_, _, _]], [[0.0] * 3, [_] * 3]),
    # 1 - (2 + 6)/2, 2 - (1 + 6)/2, 6 - (1 + 2)/2
    Trace(
        "leave one out",
        LeaveOneOut(),
        TOTALS,
        [[-3.0, _, _], [-1.5, -1.5 + STEP, -1.5], [4.5, 4.5, _]],
        own=[[0.0, _, _], [0.0, STEP, 0.0], [0.0, 0.0, _]],
    ),
    Trace(
        "leave one out, one absent",
        LeaveOneOut(),
        [*TOTALS[:2], [_] * 3],
        [[-1.0, _, _], [1.0] * 3, [_] * 3],
    ),
    Trace("leave one out, alone", LeaveOneOut(), [[5.0, 1.0], [_, _]], [[0.0, 0.0], [_, _]]),
    # mean 3; squares 4 + 1 + 9 = 14, by 2 or by 3
    Trace(
        "group",
        Group(scale="sample", eps=0.0),
        TOTALS,
        [[x / math.sqrt(7) for x in row] for row in ([-2.0, _, _], [-1.0, -1.0, -1.0], [3.0, 3.0, _])],
    ),
    Trace(
        "group of two, sample",
        Group(scale="sample", eps=0.0),
        TWO,
        [[-math.sqrt(0.5)] * 2, [math.sqrt(0.5), _]],
    ),
    Trace("group of two, population", Group(scale="population", eps=0.0), TWO, [[-1.0, -1.0], [1.0, _]]),
    Trace(
        "group of two, population, own",
        Group(scale="population", eps=1.0),
        TWO,
        [[-0.5, -0.5 + STEP / 4], [0.5, _]],
        own=[[0.0, STEP], [0.0, _]],
    ),
    Trace("group, eps", Group(scale="population"), TWO, [[-1 / 1.0001] * 2, [1 / 1.0001, _]]),
    Trace("group, not scaled", Group(scale="none"), TOTALS, [[-2.0, _, _], [-1.0] * 3, [3.0, 3.0, _]]),
    Trace(
        "group, one absent",
        Group(scale="population", eps=0.0),
        [[0.0, 1.0], [_, _], [3.0, _], [_, _]],
        [[-1.0, -1.0], [_, _], [1.0, _], [_, _]],
    ),
    Trace("group, alone", Group(), [[5.0, 1.0], [_, _]], [[0.0, 0.0], [_, _]]),
    # three times 0.1 over 3 is not 0.1
    Trace("group, ties", Group(eps=0.0), [[0.1], [0.1], [0.1]], [[0.0]] * 3),
]
