"""What a labeller says of the gold world's responses, exactly: how good each is, and which of two is better.

Shapes: K responses of one prompt, any dimensions before them. ``xpo.gold.rows`` makes rows of it.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace

import torch
from torch import Tensor

from xpo.gold.constants import CLASSES
from xpo.gold.world import World


@dataclass(frozen=True)
class Labels:
    """``score_K``, comparisons, and labels of single responses.

    ``decided_KK`` is P(i is preferred over j) where they do not tie, ``tie_KK`` P(they tie). ``margin_KK``:
    how much better i is than j, in reward units. ``good_K`` and ``bad_K``: how often a response is called so.
    ``reward_K``: the one whose differences are the log-odds of decided comparisons before they were turned
    round at the rate ``noise``; None where there is none (cyclic or certain labels). So is what nobody said.
    ``cost_K``: positive is unsafe.
    """

    score_K: Tensor
    decided_KK: Tensor
    tie_KK: Tensor
    margin_KK: Tensor | None = None
    good_K: Tensor | None = None
    bad_K: Tensor | None = None
    reward_K: Tensor | None = None
    cost_K: Tensor | None = None
    noise: float = 0.0

    @property
    def win_KK(self) -> Tensor:
        """P(i beats j), a tie being half a win for each; sums to 1 with its transpose."""
        return self.decided_KK * (1 - self.tie_KK) + self.tie_KK / 2

    @property
    def log_odds_KK(self) -> Tensor:
        """Log-odds that i is preferred over j where they do not tie; infinite where that is certain."""
        return torch.logit(self.decided_KK)

    @property
    def ties(self) -> bool:
        """Whether two different responses can tie."""
        others_KK = 1 - torch.eye(self.tie_KK.shape[-1], dtype=torch.float64)
        return bool((self.tie_KK * others_KK).any())

    def compared_KK(self, splits_ties: bool) -> Tensor:
        """The mass of "i is preferred over j" among all pairs; ties are half for each side, or in none."""
        return self.win_KK if splits_ties else self.decided_KK * (1 - self.tie_KK)


@dataclass(frozen=True)
class LabelModel:
    """The world's own labeller, who knows the reward r and sees u = r + ``length_bias`` x symbols.

    i is better than j by u_i - u_j + ``intransitivity`` s_ij, s the sign of rock, paper, scissors between the
    classes of two responses (the first symbol's number modulo 3). Times ``scale`` that is the log-odds of
    preferring i (Bradley and Terry 1952, Biometrika 39), and a label is turned round at the rate ``noise``. A
    pair ties with probability ``ties`` / (``ties`` + 2 cosh(log-odds / 2)): the model of Davidson 1970 (J.
    Am. Stat. Assoc. 65) with ``ties`` = nu, in which comparisons that do not tie are Bradley and Terry's as
    before. A response alone is good with probability sigmoid(scale (u - its mean under the reference)).
    Scores are u; turned round they are -u, so that their mean is (1 - 2 noise) u. ``exact``: drawn records
    have what is likeliest and no draw: scores are u itself, a response is good where that is likelier than
    not. It changes nothing of what this class says, which are expectations.

    Raises ``ValueError`` for a value out of range.
    """

    noise: float = 0.0
    ties: float = 0.0
    length_bias: float = 0.0
    intransitivity: float = 0.0
    scale: float = 1.0
    exact: bool = False

    def __post_init__(self) -> None:
        if not 0 <= self.noise < 0.5:
            raise ValueError(
                f"noise must be from 0 to below 0.5, got {self.noise} (0.5 is labels without information)"
            )
        for name in ("ties", "intransitivity"):
            if not 0 <= self.__dict__[name] < float("inf"):
                raise ValueError(f"{name} must be 0 or more, and finite, got {self.__dict__[name]}")
        if not -float("inf") < self.length_bias < float("inf"):
            raise ValueError(f"length_bias must be finite, got {self.length_bias}")
        if not 0 < self.scale < float("inf"):
            raise ValueError(f"scale must be above 0 and finite, got {self.scale}")

    @property
    def cyclic(self) -> bool:
        """Whether margins are more than differences of utilities."""
        return bool(self.intransitivity)

    def in_world(self, world: World) -> LabelModel:
        """Who says it there: in a game the game says who wins."""
        return InGame(**vars(self), excess=world.excess) if world.excess else self

    @property
    def orders(self) -> bool:
        """Whether its comparisons of three or more responses can come from one drawn order."""
        return not self.ties and not self.intransitivity

    def changed(self) -> dict[str, float]:
        """The settings that are not the defaults: what is not read must be none of them."""
        return {f.name: self.__dict__[f.name] for f in fields(self) if self.__dict__[f.name] != f.default}

    def utility_XN(self, world: World) -> Tensor:
        """u of every response."""
        return world.reward_XN + self.length_bias * (world.length_N - 1).double()  # EOS is no symbol

    def margins(self, utility_K: Tensor, class_K: Tensor) -> Tensor:
        """How much better i is than j."""
        return utility_K[..., :, None] - utility_K[..., None, :] + self.beyond(class_K)

    def beyond(self, class_K: Tensor) -> Tensor:
        """What of a margin, KK, no utility says."""
        ahead_KK = (class_K[..., :, None] - class_K[..., None, :]) % CLASSES  # 1: i's class beats j's
        sign_KK = (ahead_KK == 1).double() - (ahead_KK == 2).double()
        return self.intransitivity * sign_KK

    def labels(self, utility_K: Tensor, class_K: Tensor, baseline_1: Tensor | None = None) -> Labels:
        """All that it says of K responses. ``baseline_1``: the mean of u, for labels of single responses."""
        margin_KK = self.margins(utility_K, class_K)
        log_odds_KK = self.scale * margin_KK
        good_K = None
        if baseline_1 is not None:
            good_K = self.turned(torch.sigmoid(self.scale * (utility_K - baseline_1)))
        return Labels(
            score_K=(1 - 2 * self.noise) * utility_K,
            decided_KK=self.turned(torch.sigmoid(log_odds_KK)),
            tie_KK=self.ties / (self.ties + 2 * torch.cosh(log_odds_KK / 2)),
            margin_KK=margin_KK,
            good_K=good_K,
            bad_K=None if good_K is None else 1 - good_K,
            reward_K=None if self.cyclic else self.scale * utility_K,
            noise=self.noise,
        )

    def of_world(self, world: World, ref_logp_XN: Tensor) -> Labels:
        """What it says of every response; ``ref_logp_XN`` is who the responses are drawn from."""
        model, utility_XN = self.in_world(world), self.utility_XN(world)
        baseline_X1 = (ref_logp_XN.double().exp() * utility_XN).sum(1, keepdim=True)
        said = model.labels(utility_XN, world.class_XN, baseline_X1)
        return replace(said, cost_K=world.cost_XN)

    def turned(self, probability: Tensor) -> Tensor:
        """The probability of a label that is turned round with probability ``noise``."""
        return (1 - self.noise) * probability + self.noise * (1 - probability)


@dataclass(frozen=True)
class InGame(LabelModel):
    """The labeller of a game, to whom ``excess`` says by classes what of a margin no utility does.

    Utilities are the game's pointwise rewards, margins the log-odds of its win probabilities.
    """

    excess: tuple[tuple[float, ...], ...] = ()

    @property
    def cyclic(self) -> bool:
        return True

    def in_world(self, world: World) -> LabelModel:
        return self

    def beyond(self, class_K: Tensor) -> Tensor:
        excess_CC = torch.tensor(self.excess, dtype=torch.float64)
        return excess_CC[class_K[..., :, None], class_K[..., None, :]]


PLAIN = LabelModel()
"""Bradley and Terry's labels of the true reward."""
