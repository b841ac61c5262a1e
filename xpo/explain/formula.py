"""The trained objective as definitions, assembled from the terms that the components carry.

The text is a list of definitions that a small interpreter can evaluate (the tests do, and compare with
the loss that is trained). A response's tokens are t, a row's responses i, j, k, a step's rows b:

- ``sum_t(x)``, ``sum_k(x)``, ``sum_ij(x)``, ``sum_j(x)``, ``max_j(x)``, ``sum_b(x)`` reduce over that index;
  ``i(x)`` and ``j(x)`` put a value per response into the rows or the columns of a K x K table;
  ``swap(x)`` exchanges i and j.
- ``exp``, ``log``, ``sigmoid``, ``log_sigmoid``, ``relu``, ``log_odds(x)`` = x - log(1 - exp(x)), ``where``.
- given: ``logp``, ``ref_logp`` per token; ``length``, ``shortest``, ``prefer``, ``good``, ``bad``,
  ``demo``, ``score``, ``win``, ``weight``; ``rows``, ``tokens``: the totals of the optimizer step.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from xpo.arrow import OffPolicy

_LATEX_RATIO = (
    r"\log\frac{\pi_\theta(y_t \mid x, y_{<t})}{\pi_\mathrm{ref}(y_t \mid x, y_{<t})}",
    r"\log\pi_\theta(y_t \mid x, y_{<t})",
)


@dataclass(frozen=True)
class Formula:
    """Definitions in the order in which they are evaluated, the last one being ``loss``."""

    definitions: tuple[tuple[str, str], ...]
    latex: str

    @property
    def text(self) -> str:
        width = max(len(name) for name, _ in self.definitions)
        return "\n".join(f"{name:<{width}} = {expression}" for name, expression in self.definitions)


def formula(arrow: OffPolicy) -> Formula:
    """The objective that an off-policy arrow trains."""
    definitions = [*_labels(arrow), *_reward(arrow), ("row_loss", _row_loss(arrow)), *_loss(arrow)]
    return Formula(tuple(definitions), _latex(arrow))


def _labels(c: OffPolicy) -> list[tuple[str, str]]:
    """What an explicit reward makes of labels and scores, where the objective reads them."""
    found = []
    if c.relabels:
        found.append(("prefer", c.reward.labels_text(c.reward_form.text())))
    if c.objective.explicit_reward:
        found.append(("score", c.reward.score_text()))
    return found


def _reward(c: OffPolicy) -> list[tuple[str, str]]:
    if not c.objective.reads_reward:
        return []
    ratio = "logp - ref_logp" if c.given_reference else "logp"
    linked = c.reward_level.formula(c.divergence.text, c.length.text, "log_ratio")
    offset = f" + {c.length.offset_text()}" if c.length.has_offset else ""
    return [("log_ratio", ratio), ("reward", c.reward.text(linked) + offset)]


def _row_loss(c: OffPolicy) -> str:
    return c.objective.text(*c.polarity.formula("reward"), c.margin.formula(c.reward.beta))


def _loss(c: OffPolicy) -> list[tuple[str, str]]:
    mean = f"sum_b(weight * row_loss) / {c.reduce.text()}"
    if not c.sft.merges:
        return [("loss", mean)]
    likelihood, total = c.sft.term_text()
    scaled = f"{c.sft.preference_weight!r} * {mean}"
    nll = f"{c.sft.weight!r} * sum_b(weight * nll) / {total}"
    return [("nll", likelihood), ("loss", f"{scaled} + {nll}")]


def _latex(c: OffPolicy) -> str:
    preferred, dispreferred = c.polarity.formula("r")
    margin = c.margin.formula(c.reward.beta).replace("*", r"\cdot")
    terms = c.objective.latex(preferred, dispreferred, margin)
    lines = [rf"\mathcal{{L}} = \mathbb{{E}}\left[{terms}\right]"]
    if c.sft.merges:
        weight = "" if c.sft.preference_weight == 1 else f"{c.sft.preference_weight}\\, "
        lines = [rf"\mathcal{{L}} = {weight}\mathbb{{E}}\left[{terms}\right] + {c.sft.term_latex()}"]
    if c.objective.reads_reward:
        ratio = _LATEX_RATIO[0 if c.given_reference else 1]
        linked = c.reward_level.formula(c.divergence.latex, c.length.latex, ratio)
        offset = f" + {c.length.offset_latex()}" if c.length.has_offset else ""
        lines.append(rf"r(y) = {c.reward.latex(linked)}{offset}")
    return ",\\quad\n".join(lines)
