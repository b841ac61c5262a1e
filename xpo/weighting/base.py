"""What a weighting may do; each does one or two of these."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import ClassVar

from torch import Tensor

from xpo.contracts import Batch, Context, Row, Step
from xpo.scoring.token_statistics import TokenStatistic

Embed = Callable[[Sequence[Sequence[int]]], Tensor]
"""Prompts to vectors, ND."""


class Weighting:
    """Leaves everything as it is. In the order of the arrow: rewards, masses of labels, losses of rows.

    ``by_row``: what it weighs is a row of drawn responses, so that a row of a whole population has no
    meaning to it. Whole-step statistics as in ``xpo.objective.base.Declared``.
    """

    applies: ClassVar[bool] = True
    by_row: ClassVar[bool] = False
    symmetric: ClassVar[bool] = False  # positive factors of comparisons, the same for both orders of a pair
    statistic_rows: ClassVar[str] = "none"
    memory: ClassVar[int] = 0
    needs: ClassVar[frozenset[str]] = frozenset()  # of contracts.FEEDBACK
    rescales: ClassVar[bool] = False  # ``rewards`` changes the scale of the reward
    ahead: ClassVar[bool] = False  # all it does is to ``prepare`` the weights of rows
    single: ClassVar[bool] = False  # for rows of one response

    @property
    def token_statistics(self) -> tuple[TokenStatistic, ...]:
        return ()

    def prepare(
        self, train: Sequence[Row], test: Sequence[Row], embed: Embed
    ) -> tuple[Sequence[Row], Sequence[Row], Mapping[str, float]]:
        """Training and held-out rows with the weights that they have from the start, and facts about them.

        ``embed`` gives what the policy before alignment makes of prompts, one vector each.
        """
        return train, test, {}

    def observe(self, reward_BK: Tensor, loss_B: Tensor, batch: Batch, beta: float) -> Tensor:
        """What the whole-step statistic is made of, BF: one line for each row, without gradient."""
        raise NotImplementedError(f"{type(self).__name__} declares statistic_rows, and observes nothing")

    def remember(self, step: Step) -> Tensor:
        """The memory after this step, from the one before it (``step.memory``)."""
        raise NotImplementedError(f"{type(self).__name__} declares a memory, and remembers nothing")

    def rewards(self, reward_BK: Tensor, step: Step | None, beta: float) -> Tensor:
        """The rewards that the objective eats."""
        return reward_BK

    def masses(self, batch: Batch, context: Context) -> Batch:
        """The batch with other masses of comparisons and labels."""
        return batch

    def losses(self, loss_B: Tensor, batch: Batch, step: Step | None) -> Tensor:
        """The rows' losses, such that their weighted mean over the step is the objective."""
        return loss_B

    def symbols(self, step: Step, batch: Batch, beta: float) -> Mapping[str, Tensor]:
        """What its text takes from the whole step, by name."""
        return {}

    @property
    def definitions(self) -> tuple[tuple[str, str], ...]:
        """Names that its texts use, each with an expression of names before it."""
        return ()

    def reward_text(self, beta: float) -> str | None:
        """``reward`` anew, from ``reward``."""
        return None

    def mass_text(self) -> dict[str, str]:
        """``prefer``, ``good`` and ``bad`` anew, from themselves."""
        return {}

    def mean_text(self, mean: str, total: str) -> str:
        """The objective over the step, from ``sum_b(weight * row_loss) / total``."""
        return mean

    def latex(self, mean: str) -> str:
        """The objective in LaTeX, from the mean's."""
        return mean
