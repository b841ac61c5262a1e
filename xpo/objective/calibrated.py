"""The logistic loss of reward differences, with each reward held near a value of its own."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor
from torch.nn.functional import logsigmoid

from xpo.contracts import Batch, Context, masked
from xpo.objective.base import Declared, gaps, given, over_pairs
from xpo.objective.words import at, gap_latex, gap_text
from xpo.registry import register


@register("objective", "calibrated")
@dataclass(frozen=True)
class Calibrated(Declared):
    """Cal-DPO: -log sigmoid(gap) + weight ((reward_i - target)^2 + (reward_j + target)^2).

    Xiao et al. 2024, arXiv 2412.14516. Rewards are bare log-ratios (beta 1). ``target`` is in nats: the
    paper's 1 / (2 beta), half a unit of reward over beta. The targets are hundreds of nats, so the loss
    begins at weight target^2 times 2, and clipping of the gradient sets the step.
    """

    difference: ClassVar[bool] = False
    fixed_beta: ClassVar[float | None] = 1.0

    target: float = 500.0
    weight: float = 0.5

    def __post_init__(self) -> None:
        for key in ("target", "weight"):
            if not 0 < self.__dict__[key] < float("inf"):
                raise ValueError(f"{key} must be above 0 and finite, got {self.__dict__[key]}")

    def __call__(self, reward_BK: Tensor, batch: Batch, context: Context) -> Tensor:
        preferred_BK, dispreferred_BK = context.roles(masked(reward_BK, batch.present_BK))
        up_BK, down_BK = (preferred_BK - self.target).square(), (dispreferred_BK + self.target).square()
        apart_BKK = -logsigmoid(gaps(preferred_BK, dispreferred_BK, batch, context))
        held_BKK = self.weight * (up_BK[:, :, None] + down_BK[:, None, :])
        return over_pairs(given(batch.prefer_BKK, "comparisons", self), apart_BKK + held_BKK)

    def text(self, preferred: str, dispreferred: str, margin: str) -> str:
        held = f"(i({preferred}) - {self.target!r})**2 + (j({dispreferred}) + {self.target!r})**2"
        apart = f"-log_sigmoid{gap_text(preferred, dispreferred, margin)}"
        return f"sum_ij(prefer * ({apart} + {self.weight!r} * ({held})))"

    def latex(self, preferred: str, dispreferred: str, margin: str) -> str:
        up = rf"\left({at(preferred, 'w')} - {self.target}\right)^2"
        down = rf"\left({at(dispreferred, 'l')} + {self.target}\right)^2"
        apart = rf"-\log\sigma{gap_latex(preferred, dispreferred, margin)}"
        return rf"{apart} + {self.weight} \left[{up} + {down}\right]"
