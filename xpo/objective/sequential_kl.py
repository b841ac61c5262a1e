"""The logistic loss of rewards and of how far each response's tokens are from the reference's."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

from torch import Tensor
from torch.nn.functional import logsigmoid

from xpo.contracts import Batch, Context, masked, no_gradient
from xpo.objective.base import Declared, gaps, given, over_pairs
from xpo.objective.words import at, gap_latex, gap_text
from xpo.registry import register
from xpo.scoring.token_statistics import ReferenceKL, TokenStatistic


@register("objective", "sequential_kl")
@dataclass(frozen=True)
class SequentialKL(Declared):
    """TDPO: -log sigmoid(gap - alpha beta (D(y_l) - D(y_w))). Zeng et al. 2024, arXiv 2404.11999.

    D(y) = sum_t KL(ref || policy) of the next token after y's first t - 1 tokens, over the whole
    vocabulary. The paper's second method detaches the preferred response's, its first is ``alpha`` 1 and
    ``detached: none``. D is summed over tokens whatever ``length`` makes of the reward. A preferred
    response that polarity=negative takes for the reference's own has D = 0.
    """

    reads_beta: ClassVar[bool] = True

    alpha: float = 0.5
    detached: Literal["preferred", "none"] = "preferred"

    def __post_init__(self) -> None:
        if not 0 < self.alpha < float("inf"):
            raise ValueError(f"alpha must be above 0 and finite, got {self.alpha} (see objective=logistic)")

    @property
    def token_statistics(self) -> tuple[TokenStatistic, ...]:
        return (ReferenceKL(),)

    def __call__(self, reward_BK: Tensor, batch: Batch, context: Context) -> Tensor:
        preferred_BK, dispreferred_BK = context.roles(reward_BK)
        kl_BK = masked(context.token[ReferenceKL.name], batch.mask_BKT).sum(-1)
        near_BK, far_BK = context.roles(self.alpha * context.beta * kl_BK)
        if self.detached == "preferred":
            near_BK = no_gradient(near_BK)
        gap_BKK = gaps(preferred_BK + near_BK, dispreferred_BK + far_BK, batch, context)
        return over_pairs(given(batch.prefer_BKK, "comparisons", self), -logsigmoid(gap_BKK))

    def text(self, preferred: str, dispreferred: str, margin: str) -> str:
        kl = f"sum_t({ReferenceKL.name})"
        near = f"no_gradient({kl})" if self.detached == "preferred" else kl
        pair = (self._tilted(preferred, near), self._tilted(dispreferred, kl))
        return f"sum_ij(prefer * -log_sigmoid{gap_text(*pair, margin)})"

    def _tilted(self, reward: str, kl: str) -> str:
        constant = not reward.strip("0. ")  # the reference's own: no divergence either
        return reward if constant else f"{reward} + {self.alpha!r} * beta * {kl}"

    def latex(self, preferred: str, dispreferred: str, margin: str) -> str:
        kl = r"D_\mathrm{SeqKL}(x, y_%s; \pi_\mathrm{ref} \,\|\, \pi_\theta)"
        near = rf"\mathrm{{sg}}[{kl % 'w'}]" if self.detached == "preferred" else kl % "w"
        kept = near if at(preferred, "w") != preferred else "0"
        tilt = rf" - {self.alpha} \beta \left({kl % 'l'} - {kept}\right)"
        return rf"-\log\sigma{gap_latex(preferred, dispreferred, margin + tilt)}"
