"""A beta for each step, and rows far from the usual gap left out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from xpo.contracts import Batch, Step, masked, no_gradient
from xpo.objective.base import given, seen
from xpo.registry import register
from xpo.weighting.base import Weighting

_LEAST_BETA = 1e-3
_LEAST_SPREAD = 1e-3  # nats: what rounding leaves of equal gaps must not decide who is drawn


@register("weighting", "batch_beta")
@dataclass(frozen=True)
class BatchBeta(Weighting):
    """beta-DPO: beta max(1e-3, ...) from the step's own gaps. Wu et al. 2024, arXiv 2407.08639, eq. 7 to 10.

    M_i is a row's gap at beta 1, the mean over its comparisons. Mean M0 and standard deviation s of a step
    are averaged over steps with ``momentum``, from 0, this step included. A share ``left_out`` of the rows is
    left out: the others are drawn without replacement by exp(-((M_i - M0) / s)^2 / 2), and what counts is
    their mean loss, with beta (1 + alpha (mean M_i of them - M0)) in place of beta. All this is of the whole
    step and all ranks, the draw decided by the number of steps so far. An evaluation moves no averages.
    """

    by_row: ClassVar[bool] = True
    rescales: ClassVar[bool] = True
    statistic_rows: ClassVar[str] = "step"
    memory: ClassVar[int] = 3  # M0, s, steps
    needs: ClassVar[frozenset[str]] = frozenset({"comparisons"})

    alpha: float = 0.6
    left_out: float = 0.2
    momentum: float = 0.9

    def __post_init__(self) -> None:
        if not 0 <= self.alpha < float("inf"):
            raise ValueError(f"alpha must be at least 0 and finite, got {self.alpha}")
        for name in ("left_out", "momentum"):
            if not 0 <= self.__dict__[name] < 1:
                raise ValueError(f"{name} must be at least 0 and below 1, got {self.__dict__[name]}")

    def observe(self, reward_BK: Tensor, loss_B: Tensor, batch: Batch, beta: float) -> Tensor:
        """M_i of each row."""
        reward_BK = masked(no_gradient(reward_BK), batch.present_BK)
        gap_BKK = reward_BK[:, :, None] - reward_BK[:, None, :]
        mass_BKK = given(batch.prefer_BKK, "comparisons", self).to(gap_BKK.dtype)
        return (mass_BKK * gap_BKK).sum((1, 2))[:, None] / beta

    def remember(self, step: Step) -> Tensor:
        assert step.memory is not None
        now_2, keep = self._of_step(step), self.momentum
        return torch.cat([keep * step.memory[:2] + (1 - keep) * now_2, step.memory[2:] + 1])

    def _of_step(self, step: Step) -> Tensor:
        """Mean and standard deviation of the step's gaps."""
        mean = step.mean_F()
        spread = (step.weight_N @ (step.values_NF - mean).square() / step.weight_N.sum()).sqrt()
        return torch.cat([mean, spread])

    def _places(self, step: Step) -> Tensor:
        """The place of each row in the draw, from 1: sorted keys of weighted sampling without replacement."""
        assert step.memory is not None
        mean, spread, steps = step.memory.unbind()
        odds_N = -((step.values_NF[:, 0] - mean) / spread.clamp(min=_LEAST_SPREAD)).square() / 2
        draw = torch.Generator().manual_seed(int(steps))
        noise_N = -torch.rand(len(odds_N), generator=draw, dtype=torch.float64).log()
        key_N = odds_N.cpu().double() - noise_N.log()
        return (key_N.argsort(descending=True, stable=True).argsort() + 1).to(odds_N.device)

    def _kept(self, step: Step) -> Tensor:
        number = (1 - self.left_out) * len(step.weight_N) + 0.5
        return self._places(step) <= max(1.0, number)

    def _kept_gap(self, step: Step) -> Tensor:
        weight_N = self._kept(step) * step.weight_N
        return weight_N @ step.values_NF[:, 0] / weight_N.sum()

    def rewards(self, reward_BK: Tensor, step: Step | None, beta: float) -> Tensor:
        step = seen(step, self)
        assert step.memory is not None
        scale = 1 + self.alpha * (self._kept_gap(step) - step.memory[0])
        return reward_BK * scale.clamp(min=_LEAST_BETA / beta).to(reward_BK.dtype)

    def losses(self, loss_B: Tensor, batch: Batch, step: Step | None) -> Tensor:
        step = seen(step, self)
        kept_N = self._kept(step) * step.weight_N.sum() / (self._kept(step) * step.weight_N).sum()
        return loss_B * kept_N[step.place_B(batch.index_B)].to(loss_B.dtype)

    def symbols(self, step: Step, batch: Batch, beta: float) -> Mapping[str, Tensor]:
        assert step.memory is not None
        now = self._of_step(step)[0]
        past = (step.memory[0] - (1 - self.momentum) * now) / self.momentum if self.momentum else 0 * now
        return {
            "step_gap": now,
            "past_gap": past,
            "kept_gap": self._kept_gap(step),
            "drawn": self._places(step)[step.place_B(batch.index_B)].double(),
            "count": torch.tensor(float(len(step.weight_N))),
        }

    @property
    def definitions(self) -> tuple[tuple[str, str], ...]:
        m = repr(self.momentum)
        return (
            ("usual_gap", f"{m} * past_gap + (1 - {m}) * step_gap"),
            ("kept", f"where(drawn <= maximum(1, (1 - {self.left_out!r}) * count + 0.5), 1, 0)"),
        )

    def reward_text(self, beta: float) -> str:
        scale = f"1 + {self.alpha!r} * (kept_gap - usual_gap)"
        return f"reward * maximum({_LEAST_BETA!r} / {beta!r}, {scale})"

    def mean_text(self, mean: str, total: str) -> str:
        return "sum_b(weight * kept * row_loss) / sum_b(weight * kept)"

    def latex(self, mean: str) -> str:
        beta = rf"\beta \to \beta \left(1 + {self.alpha} (\mathbb{{E}}[M] - M_0)\right)"
        kept = r"\mathbb{E}_{i \sim e^{-(M_i - M_0)^2 / 2 s^2}}"
        return kept + mean.removeprefix(r"\mathbb{E}") + rf", \quad {beta}"
