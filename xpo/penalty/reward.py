"""The divergence inside the reward."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

import torch
from torch import Tensor

from xpo.contracts import Divergence, masked
from xpo.penalty.base import Penalty
from xpo.registry import register

HORIZON = 10_000
STEEPEST = 0.2


@register("penalty", "reward")
@dataclass(frozen=True)
class InReward(Penalty):
    """The divergence is taken off the reward, as numbers without gradient (Ziegler et al. 2019, 1909.08593).

    ``form=response``: -f'(u(y)) at the last token, u(y) = pi(y) / ref(y): the policy gradient of minus
    D_f(pi || ref) of whole responses. ``form=token``: token t counts -[f'(u_t) + sum_(s > t) f(u_s)/u_s]: the
    policy gradient of minus the expected sum over states of D_f of the next token. The sum is a
    reward-to-go of -f(u)/u; what token t alone has beside it is ``own_BKT``. For reverse KL
    (a linear link) both are the usual sum of log-ratios, its reward-to-go in the token form.

    Not -f(u)/u alone: it has the right mean, but grad D_f = E[f'(u) grad log pi] = E[(f/u) grad log pi] +
    E[grad (f/u)], and a number in the reward misses the second part. That is zero for f/u = log u only; for
    forward KL, JS, Hellinger and Jeffreys the first part alone points away from the reference.

    ``target``: beta follows the measured divergence to this many nats per response (``adapted``), over
    ``horizon`` responses; null: beta is fixed. ``horizon``: null is 10,000, or nothing to read it.
    """

    in_reward: ClassVar[bool] = True

    form: Literal["response", "token"] = "response"
    target: float | None = None
    horizon: int | None = None

    def __post_init__(self) -> None:
        if self.target is not None and not 0 < self.target < float("inf"):
            raise ValueError(f"target must be null or above 0 and finite, got {self.target}")
        if self.horizon is not None and self.target is None:
            raise ValueError(
                f"horizon is how fast beta follows target, which is null: null, got {self.horizon}"
            )
        if self.horizon is not None and self.horizon < 1:
            raise ValueError(f"horizon must be null or at least 1, got {self.horizon}")

    @property
    def adapts(self) -> bool:
        return self.target is not None

    @property
    def per_token(self) -> bool:
        return self.form == "token"

    @property
    def notes(self) -> tuple[str, ...]:
        if self.target is None:
            return ()
        return (
            f"beta is multiplied by penalty_scale, which begins at 1 and follows the measured divergence to "
            f"{self.target:g} nats a response: what is optimised is not known beforehand.",
        )

    def terms(self, divergence: Divergence, log_ratio_BKT: Tensor, mask_BKT: Tensor) -> tuple[Tensor, Tensor]:
        """reward_BKT and own_BKT (see the advantage group), of log pi - log ref per token; zeros outside."""
        log_ratio_BKT = masked(log_ratio_BKT.detach(), mask_BKT)
        none_BKT = torch.zeros_like(log_ratio_BKT)
        if self.form == "response":
            link_BK1 = divergence.link(log_ratio_BKT.sum(-1, keepdim=True))
            last_BKT = mask_BKT & (mask_BKT.flip(-1).cumsum(-1).flip(-1) == 1)
            return masked(-link_BK1.expand_as(log_ratio_BKT), last_BKT), none_BKT
        link_BKT = masked(divergence.link(log_ratio_BKT), mask_BKT)
        if divergence.linear:
            return -link_BKT, none_BKT
        value_BKT = masked(divergence.value(log_ratio_BKT), mask_BKT)
        return -value_BKT, value_BKT - link_BKT

    def terms_text(self, divergence: Divergence) -> tuple[str, str]:
        """What ``terms`` take off, as expressions in ``log_ratio``; the second may be empty."""
        if self.form == "response":
            return f"last_t({divergence.text('sum_t(log_ratio)')})", ""
        link = divergence.text("log_ratio")
        return (link, "") if divergence.linear else ("f_over_u(log_ratio)", f"{link} - f_over_u(log_ratio)")

    def adapted(self, scale: float, observed: float, responses: int) -> float:
        """The factor of beta after a rollout of so many responses that diverged by ``observed`` nats each.

        Ziegler et al. 2019, arXiv 1909.08593, section 2.2: scale (1 + e n / horizon), e = observed/target - 1
        cut to +-0.2, as in their code (in the paper n / horizon is 0.1). A rollout larger than the horizon
        counts as one of its size. Without a target the scale stays.
        """
        if self.target is None:
            return scale
        error = min(max(observed / self.target - 1, -STEEPEST), STEEPEST)
        share = min(responses / (HORIZON if self.horizon is None else self.horizon), 1.0)
        return scale * (1 + error * share)
