"""The same margin for every pair."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from xpo.contracts import Batch
from xpo.margin.base import Margin
from xpo.registry import register


@register("margin", "constant")
@dataclass(frozen=True)
class Constant(Margin):
    """The gap minus gamma. Meng et al. 2024, arXiv 2405.14734, eq. 6.

    Give ``gamma`` (reward units, after beta) or ``gamma_beta_ratio`` (gamma / beta, as the paper's
    repository has it), not both: the same number means different losses.
    """

    gamma: float | None = None
    gamma_beta_ratio: float | None = None

    def __post_init__(self) -> None:
        given = [key for key in ("gamma", "gamma_beta_ratio") if self.__dict__[key] is not None]
        if len(given) != 1:
            raise ValueError(
                "exactly one of gamma (in reward units) and gamma_beta_ratio (gamma / beta) must be set, got "
                f"gamma={self.gamma} and gamma_beta_ratio={self.gamma_beta_ratio}; set the other one to null"
            )
        if not 0 <= self.__dict__[given[0]] < float("inf"):
            raise ValueError(f"{given[0]} must be at least 0 and finite, got {self.__dict__[given[0]]}")

    def __call__(self, batch: Batch, beta: float, reward_BK: Tensor) -> float:
        if self.gamma is not None:
            return self.gamma
        assert self.gamma_beta_ratio is not None
        return self.gamma_beta_ratio * beta

    def formula(self, beta: float) -> str:
        if self.gamma is not None:
            return f" - {self.gamma!r}"
        return f" - {self.gamma_beta_ratio!r} * {beta!r}"

    def latex(self, beta: float) -> str:
        return self.formula(beta).replace("*", r"\cdot")
