"""Bad rows weigh as much as their prompts look like those of good rows."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor
from torch.nn.functional import softplus

from xpo.contracts import Row
from xpo.errors import UserError
from xpo.registry import register
from xpo.weighting.base import Embed, Weighting


@register("weighting", "density_ratio")
@dataclass(frozen=True)
class DensityRatio(Weighting):
    """BCO's matching of prompts: p(x | good) / p(x | bad) for bad rows. Jung et al. 2024, arXiv 2404.04656.

    The ratio, kept in [``lowest``, ``highest``], is the odds of a logistic regression with ``ridge`` that
    tells prompts of good training rows from those of bad ones, either label as heavy in all. It reads a
    prompt's mean last hidden state under the policy before alignment, each dimension standardised, and is
    fitted once. The ratio multiplies the row's weight, so that means over rows are weighted means.
    """

    by_row: ClassVar[bool] = True
    ahead: ClassVar[bool] = True
    single: ClassVar[bool] = True
    needs: ClassVar[frozenset[str]] = frozenset({"labels"})

    lowest: float = 0.5
    highest: float = 10.0
    ridge: float = 1.0

    def __post_init__(self) -> None:
        if not 0 < self.lowest <= 1 <= self.highest < float("inf"):
            raise ValueError(
                f"lowest must be above 0 and at most 1, highest at least 1 and finite, got {self.lowest} and "
                f"{self.highest}"
            )
        if not 0 < self.ridge < float("inf"):
            raise ValueError(f"ridge must be above 0 and finite, got {self.ridge}")

    def prepare(
        self, train: Sequence[Row], test: Sequence[Row], embed: Embed
    ) -> tuple[Sequence[Row], Sequence[Row], Mapping[str, float]]:
        bad_N = torch.tensor([_is_bad(row) for row in train])
        if bool(bad_N.all()) or not bool(bad_N.any()):
            raise UserError(
                "weighting=density_ratio compares prompts of good and of bad rows, and all training rows are "
                f"{'bad' if bool(bad_N.all()) else 'good'}: set weighting=none"
            )
        features_ND = embed([row.prompt for row in train])
        mean_D, spread_D = features_ND.mean(0), features_ND.std(0, correction=0)
        spread_D = torch.where(spread_D > 1e-6 * spread_D.max(), spread_D, torch.inf)  # no unit of its own
        weight_N = torch.tensor([row.weight for row in train], dtype=torch.float64)
        slope_D, offset = fitted((features_ND - mean_D) / spread_D, ~bad_N, weight_N, self.ridge)

        def ratios(rows: Sequence[Row]) -> Tensor:
            score_N = ((embed([row.prompt for row in rows]) - mean_D) / spread_D) @ slope_D + offset
            return score_N.exp().clamp(self.lowest, self.highest)

        ratio_N = ratios(train)
        on_bad = ratio_N[bad_N]
        facts = {"least": on_bad.min(), "mean": on_bad.mean(), "greatest": on_bad.max()}
        facts = {f"{name} weight of bad rows": value.item() for name, value in facts.items()}
        return _weighed(train, ratio_N), _weighed(test, ratios(test)) if test else test, facts

    @property
    def definitions(self) -> tuple[tuple[str, str], ...]:
        ratio = f"minimum({self.highest!r}, maximum({self.lowest!r}, density_ratio))"
        return (("weight", f"given_weight * sum_k(good + bad * {ratio})"),)

    def latex(self, mean: str) -> str:
        return rf"{mean}, \quad w(x, y_-) \propto \frac{{p(x \mid +)}}{{p(x \mid -)}}"


def fitted(features_ND: Tensor, good_N: Tensor, weight_N: Tensor, ridge: float) -> tuple[Tensor, Tensor]:
    """Slopes and offset of the logistic regression, the offset without penalty, by L-BFGS in float64.

    Minimises sum_i w_i log(1 + exp(-+(x_i slope + offset))) + ridge / 2 |slope|^2, where the weights of each
    label sum to half the number of rows.
    """
    share_N = torch.where(good_N, weight_N / weight_N[good_N].sum(), weight_N / weight_N[~good_N].sum()) / 2
    sign_N = torch.where(good_N, 1.0, -1.0).double()
    line = torch.zeros(features_ND.shape[1] + 1, dtype=torch.float64, requires_grad=True)
    steps = torch.optim.LBFGS(
        [line],
        max_iter=1000,
        max_eval=5000,
        tolerance_grad=1e-9,
        tolerance_change=0.0,
        history_size=20,
        line_search_fn="strong_wolfe",
    )

    def cost() -> Tensor:
        steps.zero_grad()
        loss = share_N @ softplus(-sign_N * (features_ND @ line[:-1] + line[-1]))
        loss = loss + ridge / (2 * len(good_N)) * line[:-1].square().sum()
        loss.backward()
        return loss

    steps.step(cost)  # pyright: ignore[reportArgumentType]
    return line.detach()[:-1], line.detach()[-1]


def _is_bad(row: Row) -> bool:
    assert row.bad is not None and len(row.bad) == 1
    return row.bad[0] > 0.5


def _weighed(rows: Sequence[Row], ratio_N: Tensor) -> list[Row]:
    return [
        dataclasses.replace(row, weight=row.weight * ratio) if _is_bad(row) else row
        for row, ratio in zip(rows, ratio_N.tolist(), strict=True)
    ]
