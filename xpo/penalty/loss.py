"""The divergence in the loss."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import ClassVar, Literal

from torch import Tensor

from xpo.contracts import Divergence, masked
from xpo.penalty.base import Penalty
from xpo.registry import register

_NOTES = {
    "link": "The penalty's gradient is that of the divergence of the next token.",
    "k1": "The penalty estimates reverse KL without bias as a number, and its gradient is 0 on average: it "
    "holds nothing and adds noise (penalty=reward, or estimator k2 or link, hold the policy).",
    "k2": "The penalty's gradient is that of the reverse KL of the next token.",
    "k3": "The penalty is a non-negative estimate of the divergence D_f, but its gradient is that of another "
    "one, g'(u) = f'(u) - f(u) / u (of reverse KL: the forward KL). The two agree near the reference alone "
    "(penalty=reward, or estimator link, have the divergence's own).",
}

_VISITED = "It is taken at the states that were visited: what a token does to later states is left out."


@register("penalty", "loss")
@dataclass(frozen=True)
class InLoss(Penalty):
    """A term per token with a gradient of its own, added to the policy loss.

    GRPO (Shao et al. 2024, arXiv 2402.03300, equation 4) has k3. With l = log pi - log ref of a token, under
    Schulman's names; the gradients are those on responses of the policy itself, at each state as it was
    visited (what a token does to later states is left out; penalty=reward holds it):

    - ``k1``: l. Unbiased for KL(pi || ref) as a number; its gradient is 0 on average: it only adds noise.
    - ``k2``: l^2 / 2. The gradient of the reverse KL(pi || ref).
    - ``k3``: exp(-l) - 1 + l. A non-negative estimate of the reverse KL, with the gradient of the forward
      KL(ref || pi). It is f(u) / u, so it is taken of any divergence: its estimate, with the gradient of D_g,
      g'(u) = f'(u) - f(u) / u, which pulls to the reference from both sides, too.
    - ``link``: sg[f'(u)] log pi, of any divergence: the gradient of D_f. For the reverse KL the same as k2.

    The first two know the reverse KL only; ``loss`` raises ``ValueError`` for another divergence. Differs
    from GRPO in k3 beyond 40 nats, where exp goes on as its tangent. TRL by default multiplies k3 by the
    ratio to the policy that drew (DeepSeek-V3.2, arXiv 2512.02556), whose gradient on-policy is that of k2.
    """

    in_loss: ClassVar[bool] = True

    estimator: Literal["k1", "k2", "k3", "link"] = "k3"

    @property
    def linear_only(self) -> bool:
        return self.estimator in ("k1", "k2")

    def loss(self, divergence: Divergence, log_ratio_BKT: Tensor, mask_BKT: Tensor) -> Tensor:
        """loss_BKT of log pi - log ref per token, with gradient; zeros outside the mask."""
        if self.linear_only and not divergence.linear:
            raise ValueError(
                f"estimator={self.estimator} estimates the reverse KL, and the divergence is "
                f"{type(divergence).__name__}: estimator=link or k3, or divergence=reverse_kl"
            )
        log_ratio_BKT = masked(log_ratio_BKT, mask_BKT)
        return masked(self._term(divergence, log_ratio_BKT), mask_BKT)

    @property
    def notes(self) -> tuple[str, ...]:
        return (_NOTES[self.estimator], _VISITED)

    def text(self, divergence: Divergence) -> str:
        """The term of a token as an expression in ``log_ratio``."""
        return {
            "link": f"no_gradient({divergence.text('log_ratio')}) * log_ratio",
            "k1": "log_ratio",
            "k2": "log_ratio**2 / 2",
            "k3": re.sub(r"(?<!\w)\(log_ratio\)", "log_ratio", divergence.value_text("log_ratio")),
        }[self.estimator]

    def _term(self, divergence: Divergence, log_ratio: Tensor) -> Tensor:
        if self.estimator == "link":
            # the reference has no gradient, so that of the log-ratio is that of log pi
            return divergence.link(log_ratio.detach()) * log_ratio
        if self.estimator == "k1":
            return log_ratio
        return log_ratio.square() / 2 if self.estimator == "k2" else divergence.value(log_ratio)
