"""Gold worlds in which no score says who wins: games between classes of responses.

The class of a response is set by its first symbol; what follows makes no difference to who wins. Each prompt
has symbols of its own for the classes, so that a policy has to read it. C classes, in the order of a game's
``classes``; X prompts, N responses (``xpo.gold.world``).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import torch
from torch import Tensor

from xpo.gold.world import World

Name = Literal["condorcet", "cycle"]

_MOST, _EXACT = 100, 1e-13  # Newton's steps, and the last one's length
_ORDER = 3  # the stream of a world's seed, beside those of ``World``


@dataclass(frozen=True)
class Rules:
    """``win[i][j]`` is P(class i beats class j), ``first`` the base policy's share of each class.

    ``nash``: the shares of the only Nash policy. What it says within a class is left open: any will do.
    """

    classes: tuple[str, ...]
    win: tuple[tuple[float, ...], ...]
    first: tuple[float, ...]
    nash: tuple[float, ...]


RULES: dict[Name, Rules] = {
    # y* is who beats everyone; z beats the three below it by more, so that scores rank z first
    "condorcet": Rules(
        classes=("y*", "z", "R", "P", "S"),
        win=(
            (0.5, 0.8, 0.6, 0.6, 0.6),
            (0.2, 0.5, 0.95, 0.95, 0.95),
            (0.4, 0.05, 0.5, 0.1, 0.9),
            (0.4, 0.05, 0.9, 0.5, 0.1),
            (0.4, 0.05, 0.1, 0.9, 0.5),
        ),
        first=(0.1, 0.1, 0.3, 0.3, 0.2),
        nash=(1.0, 0.0, 0.0, 0.0, 0.0),
    ),
    "cycle": Rules(
        classes=("R", "P", "S"),
        win=((0.5, 0.1, 0.9), (0.9, 0.5, 0.1), (0.1, 0.9, 0.5)),
        first=(0.5, 0.3, 0.2),
        nash=(1 / 3, 1 / 3, 1 / 3),
    ),
}


@dataclass(frozen=True)
class Game(World):
    """A world in which classes of responses play against each other, one symbol for each class.

    ``reward_XN`` is the best that scores can say of it: Bradley and Terry's fit to all pairs of responses of
    the base policy. Margins are the log-odds of the game's own win probabilities.
    """

    name: Name = "condorcet"

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.symbols != len(self.rules.classes):
            raise ValueError(
                f"symbols of game={self.name} must be {len(self.rules.classes)}, one for each of its classes "
                f"{', '.join(self.rules.classes)}, got {self.symbols}"
            )

    @property
    def rules(self) -> Rules:
        return RULES[self.name]

    @cached_property
    def class_XA(self) -> Tensor:
        """The class that symbol a stands for with prompt x."""
        stream = self._stream(_ORDER)
        return torch.stack([torch.randperm(self.symbols, generator=stream) for _ in range(self.prompts)])

    @cached_property
    def class_XN(self) -> Tensor:
        return self.class_XA[:, [y[0] for y in self.responses]]

    @cached_property
    def win_CC(self) -> Tensor:
        """P(class i beats class j)."""
        return torch.tensor(self.rules.win, dtype=torch.float64)

    @cached_property
    def win_XNN(self) -> Tensor:
        return self.win_CC[self.class_XN[:, :, None], self.class_XN[:, None, :]]

    @cached_property
    def reward_C(self) -> Tensor:
        """The score of each class; its mean under the base policy is 0."""
        return pointwise_fit(self.win_CC, torch.tensor(self.rules.first, dtype=torch.float64))

    @cached_property
    def reward_XN(self) -> Tensor:
        return self.reward_C[self.class_XN]

    @cached_property
    def excess(self) -> tuple[tuple[float, ...], ...]:
        scored_CC = self.reward_C[:, None] - self.reward_C[None, :]
        return tuple(map(tuple, (torch.logit(self.win_CC) - scored_CC).tolist()))

    def by_class(self, logp_XN: Tensor) -> Tensor:
        """A policy's probability of each class: XC."""
        none_XC = torch.zeros(self.prompts, self.symbols, dtype=torch.float64)
        return none_XC.scatter_add(1, self.class_XN, logp_XN.double().exp())

    def _first_logp_XA(self, drawn_XA: Tensor) -> Tensor:
        return torch.tensor(self.rules.first, dtype=torch.float64).log()[self.class_XA]


def pointwise_fit(win_CC: Tensor, mass_C: Tensor) -> Tensor:
    """The scores r that say most of win probabilities: Bradley and Terry's over pairs of independent draws.

    The maximum of sum_ij m_i m_j P_ij log sigmoid(r_i - r_j), by Newton's method in float64; its mean under
    ``mass_C`` is 0. There is one maximum where no set of players beats all others for certain (Ford 1957, Am.
    Math. Monthly 64). Raises ``ValueError`` where it is not found.
    """
    mass_CC = mass_C.double()[:, None] * mass_C.double()[None, :]
    reward_C = torch.zeros_like(mass_C, dtype=torch.float64)
    for _ in range(_MOST):
        said_CC = torch.sigmoid(reward_C[:, None] - reward_C[None, :])
        slope_C = (mass_CC * (win_CC.double() - said_CC)).sum(1)
        bend_CC = mass_CC * said_CC * (1 - said_CC)
        # a constant changes nothing that is fitted: mass_CC holds it still
        step_C, _ = torch.linalg.solve_ex(bend_CC.sum(1).diag() - bend_CC + mass_CC, slope_C)
        if not step_C.isfinite().all():
            break
        reward_C = reward_C + step_C
        if float(step_C.abs().max()) < _EXACT:
            return reward_C - (mass_C.double() * reward_C).sum()
    raise ValueError("no finite scores fit these win probabilities: is anyone sure to win?")
