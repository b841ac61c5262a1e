"""Declarations that an objective makes, and what pair losses share."""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor

from xpo.contracts import Batch, Context, masked


class Declared:
    """Class variables that compatibility is derived from; the conformance kit proves them.

    An objective overrides those that differ. The defaults are those of a loss of reward differences.
    """

    needs: ClassVar[frozenset[str]] = frozenset({"comparisons"})  # of contracts.FEEDBACK
    difference: ClassVar[bool] = True  # unchanged when c(x) is added to all rewards of a prompt
    fixed_beta: ClassVar[float | None] = None  # the only beta that the published loss has
    nonpositive_reward: ClassVar[bool] = False  # rewards must be log-probabilities
    reads_reward: ClassVar[bool] = True
    reads_margin: ClassVar[bool] = True
    reads_roles: ClassVar[bool] = True  # the polarity axis changes it
    implicit_form: ClassVar[str] = "scores"  # what given labels are taken for: a reward's, or "wins"
    implicit_form: ClassVar[str] = "scores"  # what it takes labels for: "wins" is a general preference
    explicit_reward: ClassVar[bool] = False  # reads the scores of reward=explicit
    per_token: ClassVar[bool] = False  # a sum over tokens, so it may be averaged over tokens
    statistic_rows: ClassVar[str] = "none"  # or "mismatched": rows that ``observe`` wants, once per step
    arity: ClassVar[frozenset[str]] = frozenset({"pair", "list"})

    @property
    def fits(self) -> str:
        """What reward differences of the population's minimiser are: "log_odds" of winning, differences of
        "win_rate" against the data, or "" for neither (no closed form is claimed; see xpo.gold.target)."""
        return ""

    @property
    def fit_scale(self) -> float:
        """Reward per unit of what is fitted."""
        return 1.0


def given(values: Tensor | None, needs: str, objective: object) -> Tensor:
    """The tensor, or a ``ValueError`` that says which feedback the rows lack."""
    if values is None:
        raise ValueError(f"{type(objective).__name__} needs {needs}, and the rows of this batch carry none")
    return values


def gaps(preferred_BK: Tensor, dispreferred_BK: Tensor, batch: Batch, context: Context) -> Tensor:
    """gap_BKK: how much more i is worth than j, minus the margin."""
    present_BK = batch.present_BK
    preferred_BK = masked(preferred_BK, present_BK)
    dispreferred_BK = masked(dispreferred_BK, present_BK)
    return preferred_BK[:, :, None] - dispreferred_BK[:, None, :] - context.margin_BKK


def over_pairs(prefer_BKK: Tensor, loss_BKK: Tensor) -> Tensor:
    """loss_B: the mass-weighted sum of a loss of ordered pairs."""
    return (prefer_BKK * loss_BKK).sum((1, 2))


def gap_text(preferred: str, dispreferred: str, margin: str) -> str:
    """``gaps`` as an expression: i(x), j(x) put x along the rows or columns of a K x K table."""
    return f"(i({preferred}) - j({dispreferred}){margin})"


def gap_latex(preferred: str, dispreferred: str, margin: str) -> str:
    """``gaps`` in LaTeX, for a pair (w, l)."""
    return rf"\left({at(preferred, 'w')} - {at(dispreferred, 'l')}{margin}\right)"


def at(symbol: str, response: str) -> str:
    """A reward's symbol at one response; constants stay."""
    return rf"{symbol}(y_{response})" if symbol.strip("0. ") else symbol


def widened(values: Tensor) -> Tensor:
    """At least float32: log-odds of probabilities near 1 do not exist in half precision."""
    return values.float() if values.dtype in (torch.bfloat16, torch.float16) else values
