"""Labels count by how likely the policy is to give their responses."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from xpo.contracts import Batch, Context, masked, no_gradient
from xpo.registry import register
from xpo.scoring.token_statistics import Concentration, TokenStatistic
from xpo.weighting.base import Weighting


@register("weighting", "on_policy_likelihood")
@dataclass(frozen=True)
class OnPolicyLikelihood(Weighting):
    """WPO: a comparison weighs min(1, exp(a_i + a_j)), a label min(1, exp(a_i)), without gradient.
    Zhou et al. 2024, arXiv 2406.11827, eq. 5 and 6.

    a = mean_t[log p_t - log sum_v p_v^2]: a response's likelihood by the token, on the scale of the
    policy's own samples, which simulates training on those. The paper weighs pairs; for labels of single
    responses the same is taken of one response.
    """

    symmetric: ClassVar[bool] = True

    @property
    def token_statistics(self) -> tuple[TokenStatistic, ...]:
        return (Concentration(),)

    def masses(self, batch: Batch, context: Context) -> Batch:
        likelihood_BK = self._aligned(batch, context)
        prefer, good, bad = batch.prefer_BKK, batch.good_BK, batch.bad_BK
        if prefer is not None:
            both_BKK = likelihood_BK[:, :, None] + likelihood_BK[:, None, :]
            prefer = prefer * both_BKK.clamp(max=0).exp()
        if good is not None and bad is not None:
            weight_BK = likelihood_BK.clamp(max=0).exp()
            good, bad = good * weight_BK, bad * weight_BK
        return dataclasses.replace(batch, prefer_BKK=prefer, good_BK=good, bad_BK=bad)

    def _aligned(self, batch: Batch, context: Context) -> Tensor:
        """a, BK; 0 for absent responses."""
        if context.logp_BKT is None:
            raise ValueError("weighting=on_policy_likelihood needs the policy's log-probabilities")
        ratio_BKT = no_gradient(context.logp_BKT - context.token[Concentration.name])
        return masked(ratio_BKT, batch.mask_BKT).sum(-1) / batch.length_BK.clamp(min=1)

    @property
    def definitions(self) -> tuple[tuple[str, str], ...]:
        return (("aligned", f"sum_t(no_gradient(logp - {Concentration.name})) / length"),)

    def mass_text(self) -> dict[str, str]:
        alone = "exp(minimum(0, aligned))"
        pair = "exp(minimum(0, i(aligned) + j(aligned)))"
        return {"prefer": f"prefer * {pair}", "good": f"good * {alone}", "bad": f"bad * {alone}"}

    def latex(self, mean: str) -> str:
        a = r"a(y) = \frac{1}{|y|}\sum_t \log\frac{\pi_\theta(y_t)}{\sum_v \pi_\theta(v)^2}"
        weight = r"w = \mathrm{sg}\left[\min\left(1, e^{\sum_y a(y)}\right)\right]"
        inner = mean.removeprefix(r"\mathbb{E}\left[").removesuffix(r"\right]")
        return rf"\mathbb{{E}}\left[w \left({inner}\right)\right],\quad {weight},\quad {a}"
