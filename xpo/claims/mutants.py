"""Deliberately broken versions of the program, to see that a claim's check would catch them.

``python -m xpo.claims.mutants NAME [overrides]`` is ``python -m xpo [overrides]`` with one fault built in.
"""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from xpo.arrow import OffPolicy, Ratio, Scores
from xpo.constraint.lagrange import Lagrange
from xpo.contracts import Batch, Step
from xpo.data.record import Record
from xpo.module.on_policy import OnPolicyModule
from xpo.on_policy.arrow import Credit, OnPolicy, Stream
from xpo.on_policy.collect import Collector
from xpo.penalty.reward import InReward
from xpo.reward_model.heads import PreferenceHead

Put = Callable[[type, str, Callable[..., Any]], None]
"""Sets a method of a class, as ``setattr`` does; a test's is taken back where the test ends."""


def flip(put: Put) -> None:
    """The sign of every label: what was preferred, good, won or highly scored is not."""
    right = OffPolicy.losses

    def losses(
        self: OffPolicy, batch: Batch, reward_BK: Tensor, scores: Scores, step: Step | None = None
    ) -> tuple[Tensor, dict[str, Ratio]]:
        prefer, score, win = batch.prefer_BKK, batch.score_BK, batch.win_BKK
        flipped = dataclasses.replace(
            batch,
            prefer_BKK=None if prefer is None else prefer.transpose(1, 2),
            good_BK=batch.bad_BK,
            bad_BK=batch.good_BK,
            score_BK=None if score is None else -score,
            win_BKK=None if win is None else win.transpose(1, 2),
        )
        return right(self, flipped, reward_BK, scores, step)

    put(OffPolicy, "losses", losses)


def linear(put: Put) -> None:
    """The link is left out: every divergence trains as the reverse KL does."""
    right = OffPolicy.rewards

    def rewards(self: OffPolicy, batch: Batch, logp_BKT: Tensor, ref_logp_BKT: Tensor) -> Tensor:
        return right(
            dataclasses.replace(self, divergence=_Identity(self.divergence)), batch, logp_BKT, ref_logp_BKT
        )

    put(OffPolicy, "rewards", rewards)


def double(put: Put) -> None:
    """The implicit reward counts twice, as with another beta (or tau) than the one that is claimed."""
    right = OffPolicy.rewards

    def rewards(self: OffPolicy, batch: Batch, logp_BKT: Tensor, ref_logp_BKT: Tensor) -> Tensor:
        return 2 * right(self, batch, logp_BKT, ref_logp_BKT)

    put(OffPolicy, "rewards", rewards)


def straight(put: Put) -> None:
    """A preference model without its cycles: differences of rewards alone."""
    right = PreferenceHead.features

    def features(self: PreferenceHead, hidden: Tensor) -> Tensor:
        feature = right(self, hidden)
        return feature * (torch.arange(feature.shape[-1], device=feature.device) == 0)

    put(PreferenceHead, "features", features)


def unpaid(put: Put) -> None:
    """A policy gradient whose divergence costs nothing."""
    right = OnPolicy.penalised

    def penalised(
        self: OnPolicy, log_ratio_BKT: Tensor, mask_BKT: Tensor, scale: float
    ) -> tuple[Tensor, Tensor]:
        return right(self, log_ratio_BKT, mask_BKT, 0.0)

    put(OnPolicy, "penalised", penalised)


def valued(put: Put) -> None:
    """f(u)/u, whose mean is the divergence, in the reward in the place of f'(u), whose gradient it is."""
    right = InReward.terms

    def terms(
        self: InReward, divergence: Any, log_ratio_BKT: Tensor, mask_BKT: Tensor
    ) -> tuple[Tensor, Tensor]:
        valued: Any = _Valued(divergence)
        return right(self, valued, log_ratio_BKT, mask_BKT)

    put(InReward, "terms", terms)


def backwards(put: Put) -> None:
    """Advantages with the wrong sign."""
    right = OnPolicy.estimate

    def estimate(
        self: OnPolicy, reward: Stream, cost: Stream | None, state: Tensor, mask_BKT: Tensor
    ) -> Credit:
        found = right(self, reward, cost, state, mask_BKT)
        return dataclasses.replace(found, advantage_BKT=-found.advantage_BKT)

    put(OnPolicy, "estimate", estimate)


def unlearnt(put: Put) -> None:
    """What comes beside a rollout is not imitated."""

    def imitated(self: OnPolicyModule, batch: Batch) -> Tensor:
        return batch.weight_B.new_zeros(())

    put(OnPolicyModule, "_imitated", imitated)


def unpriced(put: Put) -> None:
    """The multiplier of costs stays what it was."""

    def updated(self: Lagrange, state: Tensor, cost_N: Tensor) -> Tensor:
        return state

    put(Lagrange, "updated", updated)


def misjudged(put: Put) -> None:
    """The worst of the policy's samples are taken for the best."""
    right = Collector._worth

    def worth(self: Collector, record: Record, own: int) -> list[float]:
        return [-value for value in right(self, record, own)]

    put(Collector, "_worth", worth)


class _Valued:
    """A divergence whose link is its value."""

    linear = False

    def __init__(self, divergence: Any) -> None:
        self.link = self.value = divergence.value


class _Identity:
    """A divergence whose link is the log-ratio itself."""

    def __init__(self, divergence: object) -> None:
        self.divergence = divergence

    def link(self, log_u: Tensor) -> Tensor:
        return log_u


MUTANTS: dict[str, Callable[[Put], None]] = {
    "flip": flip,
    "linear": linear,
    "double": double,
    "straight": straight,
    "unpaid": unpaid,
    "valued": valued,
    "backwards": backwards,
    "unlearnt": unlearnt,
    "unpriced": unpriced,
    "misjudged": misjudged,
}


def main(argv: list[str]) -> None:
    from xpo.cli import main as command

    MUTANTS[argv[0]](setattr)
    command(argv[1:])


if __name__ == "__main__":
    main(sys.argv[1:])
