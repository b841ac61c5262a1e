"""Clipped ratios."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

import torch
from torch import Tensor

from xpo.contracts import masked
from xpo.policy_loss.base import PolicyLoss, Ratio
from xpo.registry import register


@register("policy_loss", "clip")
@dataclass(frozen=True)
class Clip(PolicyLoss):
    """max(-A s, -A clip(s, 1 - low, 1 + high)), s the ratio of the policy to the one that drew.

    PPO, Schulman et al. 2017, arXiv 1707.06347, equation 7; ``high`` above ``low`` is DAPO's clip-higher
    (2503.14476). ``dual``: where A < 0 the loss is at most -A dual (Ye et al. 2019, arXiv 1912.09729; TRL's
    ``delta``).

    ``level``: ``token``: s_t = pi(y_t) / old(y_t). ``mean``: of the whole response, exp(mean_t log s_t), GSPO
    (2507.18071); ``sum``: exp(sum_t log s_t), the ratio of TRL's RLOO. Ratios of a response keep the form
    per token, sg[s] exp(logp_t - sg[logp_t]), whose sum over tokens has the gradient s sum_t grad logp_t.
    So ``mean`` is GSPO's loss, value and gradient, under the mean over a response's tokens, and ``sum`` has
    the gradient of TRL's under the sum over tokens, where its value is length times TRL's.

    ``log_limit``: log s is clamped to +-log_limit (verl: 20) before exp, a guard that the papers lack. A
    ratio of a token has no gradient beyond it.
    """

    reads_ratio: ClassVar[bool] = True

    low: float = 0.2
    high: float = 0.2
    dual: float | None = None
    level: Literal["token", "mean", "sum"] = "token"
    log_limit: float = 20.0

    def __post_init__(self) -> None:
        for name, value in (("low", self.low), ("high", self.high), ("log_limit", self.log_limit)):
            if not 0 < value < float("inf"):
                raise ValueError(f"{name} must be above 0 and finite, got {value}")
        if self.dual is not None and not 1 < self.dual < float("inf"):
            raise ValueError(f"dual must be null or above 1 and finite, got {self.dual}")

    def losses(
        self, logp_BKT: Tensor, old_logp_BKT: Tensor, advantage_BKT: Tensor, mask_BKT: Tensor
    ) -> Tensor:
        ratio_BKT = self._ratio(logp_BKT, old_logp_BKT, mask_BKT)
        clipped_BKT = ratio_BKT.clamp(1 - self.low, 1 + self.high)
        loss_BKT = torch.maximum(-advantage_BKT * ratio_BKT, -advantage_BKT * clipped_BKT)
        if self.dual is None:
            return loss_BKT
        most_BKT = torch.where(advantage_BKT < 0, -advantage_BKT * self.dual, torch.inf)
        return torch.minimum(loss_BKT, most_BKT)

    def _ratio(self, logp_BKT: Tensor, old_logp_BKT: Tensor, mask_BKT: Tensor) -> Tensor:
        log_ratio_BKT = masked(logp_BKT - old_logp_BKT, mask_BKT)
        if self.level == "token":
            return log_ratio_BKT.clamp(-self.log_limit, self.log_limit).exp()
        log_ratio_BK1 = log_ratio_BKT.detach().sum(-1, keepdim=True)
        if self.level == "mean":
            log_ratio_BK1 = log_ratio_BK1 / mask_BKT.sum(-1, keepdim=True).clamp(min=1)
        whole_BK1 = log_ratio_BK1.clamp(-self.log_limit, self.log_limit).exp()
        return whole_BK1 * (logp_BKT - logp_BKT.detach()).exp()

    def metrics(
        self, logp_BKT: Tensor, old_logp_BKT: Tensor, advantage_BKT: Tensor, mask_BKT: Tensor
    ) -> dict[str, Ratio]:
        """Shares of ratios that clipping stops, under TRL's names, and the mean ratio.

        Over tokens, or over responses where a ratio is one of a whole response (as in TRL).
        """
        logp, old = masked(logp_BKT.detach(), mask_BKT), masked(old_logp_BKT.detach(), mask_BKT)
        advantage = masked(advantage_BKT.detach(), mask_BKT)
        ratio = self._ratio(logp, old, mask_BKT)
        count = mask_BKT.to(ratio.dtype)
        if self.level != "token":
            count = count / mask_BKT.sum(-1, keepdim=True).clamp(min=1)
        low = (ratio < 1 - self.low) & (advantage < 0)
        high = (ratio > 1 + self.high) & (advantage > 0)
        found = {
            "clip_ratio/low_mean": low,
            "clip_ratio/high_mean": high,
            "clip_ratio/region_mean": low | high,
            "policy/ratio": ratio,
        }
        if self.dual is not None:
            found["clip_ratio/dual_mean"] = (ratio > self.dual) & (advantage < 0)
        return {name: ((value * count).sum(), count.sum()) for name, value in found.items()}

    @property
    def definitions(self) -> tuple[tuple[str, str], ...]:
        """Without the guard ``log_limit``."""
        whole = "every_t(no_gradient(exp({}))) * exp(logp - no_gradient(logp))"
        ratio = {
            "token": "exp(logp - old_logp)",
            "mean": whole.format("sum_t(logp - old_logp) / length"),
            "sum": whole.format("sum_t(logp - old_logp)"),
        }[self.level]
        return (("ratio", ratio),)

    def text(self) -> str:
        clipped = f"minimum(maximum(ratio, {1 - self.low:.10g}), {1 + self.high:.10g})"
        loss = f"maximum(-advantage * ratio, -advantage * {clipped})"
        if self.dual is None:
            return loss
        return f"where(advantage > 0, {loss}, minimum({loss}, -advantage * {self.dual:g}))"

    def latex(self) -> str:
        ratio = {
            "token": r"\frac{\pi_\theta(y_t \mid x, y_{<t})}{\pi_\mathrm{old}(y_t \mid x, y_{<t})}",
            "mean": r"\left(\frac{\pi_\theta(y \mid x)}{\pi_\mathrm{old}(y \mid x)}\right)^{1 / |y|}",
            "sum": r"\frac{\pi_\theta(y \mid x)}{\pi_\mathrm{old}(y \mid x)}",
        }[self.level]
        clipped = rf"\operatorname{{clip}}(s_t, {1 - self.low:.10g}, {1 + self.high:.10g})"
        loss = rf"\max\left(-A_t s_t, -A_t\, {clipped}\right)"
        if self.dual is not None:
            loss = rf"\min\left({loss}, {self.dual:g} |A_t|\right)"
        return rf"{loss},\quad s_t = {ratio}"
