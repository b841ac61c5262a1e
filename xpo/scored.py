"""What goes into the arrow, and what comes out of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from torch import Tensor

from xpo.contracts import Step
from xpo.reward_model.heads import Opinion

Ratio = tuple[Tensor, Tensor | float]
"""A metric before it is reduced: numerator and denominator."""


@dataclass(frozen=True)
class Scores:
    """What policy, reference and critic say about one micro-batch. Unread parts are empty."""

    logp_BKT: Tensor
    ref_logp_BKT: Tensor
    prompt_logp_BP: Tensor | None = None
    token: Mapping[str, Tensor] = field(default_factory=dict)  # statistics of distributions, each BKT
    value: Mapping[str, Tensor] = field(default_factory=dict)  # of the critic
    opinion: Opinion | None = None  # of a head that is trained: it takes the place of log-ratios
    members: tuple[Opinion, ...] = ()  # of each of several; ``opinion`` is their mean

    def detach(self) -> Scores:
        """Without gradient."""
        return replace(
            self,
            logp_BKT=self.logp_BKT.detach(),
            token={name: value.detach() for name, value in self.token.items()},
            value={name: value.detach() for name, value in self.value.items()},
            opinion=None if self.opinion is None else self.opinion.detach(),
            members=tuple(member.detach() for member in self.members),
        )


@dataclass(frozen=True)
class Steps:
    """The whole-step statistics of the parts that take one."""

    objective: Step | None = None
    weighting: Step | None = None


@dataclass(frozen=True)
class Scored:
    """One micro-batch. The shares of all micro-batches and ranks *sum* to the objective."""

    share: Tensor
    reward_BK: Tensor
    metrics: dict[str, Ratio]
