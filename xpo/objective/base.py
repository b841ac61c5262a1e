"""Declarations that an objective makes, and what families of losses share."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import ClassVar

import torch
from torch import Tensor

from xpo.contracts import Batch, Context, Step, masked
from xpo.objective.words import at, gap_latex, gap_text
from xpo.scoring.token_statistics import TokenStatistic


class Declared:
    """Class variables that compatibility is derived from; the conformance kit proves them.

    An objective overrides those that differ. The defaults are those of a loss of reward differences.
    """

    needs: ClassVar[frozenset[str]] = frozenset({"comparisons"})  # of contracts.FEEDBACK
    difference: ClassVar[bool] = True  # unchanged when c(x) is added to all rewards of a prompt
    absorbs_constant: ClassVar[bool] = False  # ... and taken off the critic's ``prompt_value_B``
    fixed_beta: ClassVar[float | None] = None  # the only beta that the published loss has
    nonpositive_reward: ClassVar[bool] = False  # rewards must be log-probabilities
    reads_reward: ClassVar[bool] = True
    reads_margin: ClassVar[bool] = True
    reads_roles: ClassVar[bool] = True  # the polarity axis changes it
    reads_beta: ClassVar[bool] = False  # Context.beta, under the name beta in its text
    soft_labels: ClassVar[bool] = False  # a comparison that is certain has no finite loss
    unbiased_in_labels: ClassVar[bool] = True  # the gradient is linear in masses, negative ones included
    by_pairs: ClassVar[bool] = True  # of comparisons: a list's loss is the sum of its pairs'
    implicit_form: ClassVar[str] = "scores"  # what it takes labels for: "wins" is a general preference
    explicit_reward: ClassVar[bool] = False  # reads the scores of reward=explicit
    policy_gradient: ClassVar[bool] = False  # of the policy's own samples, by the on-policy arrow
    credits_tokens: ClassVar[bool] = False  # carries an explicit reward to the tokens that led to it
    per_token: ClassVar[bool] = False  # a sum over tokens, so it may be averaged over tokens
    imitates: ClassVar[bool] = False  # the likelihood of demonstrated or good responses is part of it
    counts_scores: ClassVar[bool] = False  # responses count by Batch.share_BK, not as demonstrations
    listwise: ClassVar[bool] = False  # a list's loss is no sum over its pairs, or counts them: K matters
    by_gaps: ClassVar[bool] = False  # of rewards it reads their gaps alone, which may be no differences
    hard_labels: ClassVar[bool] = False  # reads which of two is preferred, not how surely
    statistic_rows: ClassVar[str] = "none"  # rows of a step that ``observe`` wants: "step" or "mismatched"
    memory: ClassVar[int] = 0  # numbers that the statistic remembers from step to step, 0 at the beginning
    coupled: ClassVar[bool] = False  # masses of the whole step are matched: a row has no loss of its own
    reads_reference: ClassVar[bool] = False  # Context.reference_BK: the two parts of a log-ratio apart
    critic: ClassVar[frozenset[str]] = frozenset()  # names in Context.value that it reads
    arity: ClassVar[frozenset[str]] = frozenset({"pair", "list"})

    @property
    def token_statistics(self) -> tuple[TokenStatistic, ...]:
        """What it reads of whole next-token distributions, under these names in Context.token."""
        return ()

    @property
    def fits(self) -> str:
        """What reward differences of the population's minimiser are: "log_odds" of winning, differences of
        "win_rate" against the data, of "scores", or "" where no closed form is claimed (xpo.gold.target)."""
        return ""

    @property
    def fit_scale(self) -> float:
        """Reward per unit of what is fitted."""
        return 1.0

    @property
    def fit_limit(self) -> float:
        """Reward differences of the minimiser that reach this are not fitted: nothing is claimed then."""
        return math.inf

    def observe(self, reward_BK: Tensor, batch: Batch, context: Context) -> Tensor:
        """What the whole-step statistic is made of, BF: one line for each row, without gradient.

        ``batch`` and ``context`` are as for the loss, but without a step.
        """
        raise NotImplementedError(f"{type(self).__name__} declares statistic_rows, and observes nothing")

    def remember(self, step: Step) -> Tensor:
        """The memory after this step, from the one before it (``step.memory``)."""
        raise NotImplementedError(f"{type(self).__name__} declares a memory, and remembers nothing")

    def symbols(self, step: Step, batch: Batch) -> Mapping[str, Tensor | tuple[Tensor, ...]]:
        """What its text takes from the step: a number, one for each row or response, a table for each row."""
        return {}

    @property
    def definitions(self) -> tuple[tuple[str, str], ...]:
        """Names that its text uses, each with an expression of names before it."""
        return ()

    def metrics(
        self, reward_BK: Tensor, batch: Batch, context: Context
    ) -> Mapping[str, tuple[Tensor, Tensor]]:
        """Further metrics of a micro-batch: numerator and denominator, row weights included."""
        return {}


class PairLoss(Declared):
    """The mass-weighted mean of a curve of the gap, over all ordered pairs of a prompt's responses.

    A subclass gives ``curve``, decreasing at 0, and its text. Tang et al. 2024, arXiv 2402.05749, eq. 4.
    """

    by_gaps: ClassVar[bool] = True

    def curve(self, gap: Tensor) -> Tensor:
        raise NotImplementedError

    def curve_text(self, gap: str) -> str:
        """``gap`` comes in brackets."""
        raise NotImplementedError

    def curve_latex(self, gap: str) -> str:
        raise NotImplementedError

    def __call__(self, reward_BK: Tensor, batch: Batch, context: Context) -> Tensor:
        loss_BKK = self.curve(gaps(*context.roles(reward_BK), batch, context))
        return over_pairs(given(batch.prefer_BKK, "comparisons", self), loss_BKK)

    def text(self, preferred: str, dispreferred: str, margin: str) -> str:
        return f"sum_ij(prefer * {self.curve_text(gap_text(preferred, dispreferred, margin))})"

    def latex(self, preferred: str, dispreferred: str, margin: str) -> str:
        return self.curve_latex(gap_latex(preferred, dispreferred, margin))


class ResponseLoss(Declared):
    """The mass-weighted mean of one curve for good responses and one for bad ones, each on its own.

    A subclass gives ``liked``, ``disliked`` and their texts. On a pair the good and the bad response have
    half the mass each, so a loss that is published as their sum is twice this one.
    """

    needs: ClassVar[frozenset[str]] = frozenset({"labels"})
    difference: ClassVar[bool] = False
    reads_margin: ClassVar[bool] = False
    arity: ClassVar[frozenset[str]] = frozenset({"single", "pair", "list"})

    def liked(self, reward_BK: Tensor, context: Context) -> Tensor:
        raise NotImplementedError

    def disliked(self, reward_BK: Tensor, context: Context) -> Tensor:
        raise NotImplementedError

    def liked_text(self, reward: str) -> str:
        raise NotImplementedError

    def disliked_text(self, reward: str) -> str:
        raise NotImplementedError

    def liked_latex(self, reward: str) -> str:
        raise NotImplementedError

    def disliked_latex(self, reward: str) -> str:
        raise NotImplementedError

    def __call__(self, reward_BK: Tensor, batch: Batch, context: Context) -> Tensor:
        good_BK, bad_BK = given(batch.good_BK, "labels", self), given(batch.bad_BK, "labels", self)
        liked_BK, disliked_BK = context.roles(masked(reward_BK, batch.present_BK))
        return (good_BK * self.liked(liked_BK, context) + bad_BK * self.disliked(disliked_BK, context)).sum(1)

    def text(self, preferred: str, dispreferred: str, margin: str) -> str:
        return f"sum_k(good * {self.liked_text(preferred)} + bad * {self.disliked_text(dispreferred)})"

    def latex(self, preferred: str, dispreferred: str, margin: str) -> str:
        good, bad = self.liked_latex(at(preferred, "+")), self.disliked_latex(at(dispreferred, "-"))
        cases = rf"{good} & y_+ \text{{ desirable}} \\ {bad} & y_- \text{{ undesirable}}"
        return rf"\begin{{cases}} {cases} \end{{cases}}"


def given(values: Tensor | None, needs: str, objective: object) -> Tensor:
    """The tensor, or a ``ValueError`` that says which feedback the rows lack."""
    if values is None:
        raise ValueError(f"{type(objective).__name__} needs {needs}, and the rows of this batch carry none")
    return values


def seen(step: Step | None, objective: object) -> Step:
    """The whole-step statistic, or a ``ValueError`` that says that nobody took it."""
    if step is None:
        raise ValueError(f"{type(objective).__name__} needs the statistic of the whole step (Batch.probes)")
    return step


def gaps(preferred_BK: Tensor, dispreferred_BK: Tensor, batch: Batch, context: Context) -> Tensor:
    """gap_BKK: how much more i is worth than j, minus the margin."""
    if context.log_odds_BKK is not None:
        return context.log_odds_BKK - context.margin_BKK
    present_BK = batch.present_BK
    preferred_BK = masked(preferred_BK, present_BK)
    dispreferred_BK = masked(dispreferred_BK, present_BK)
    return preferred_BK[:, :, None] - dispreferred_BK[:, None, :] - context.margin_BKK


def over_pairs(prefer_BKK: Tensor, loss_BKK: Tensor) -> Tensor:
    """loss_B: the mass-weighted sum of a loss of ordered pairs."""
    return (prefer_BKK * loss_BKK).sum((1, 2))


def widened(values: Tensor) -> Tensor:
    """At least float32: log-odds of probabilities near 1 do not exist in half precision."""
    return values.float() if values.dtype in (torch.bfloat16, torch.float16) else values
