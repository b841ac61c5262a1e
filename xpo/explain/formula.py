"""The trained objective as definitions, assembled from the terms that the components carry.

The text is a list of definitions that a small interpreter can evaluate (the tests do, and compare with
the loss that is trained). A response's tokens are t, a row's responses i, j, k, a step's rows b:

- ``sum_t(x)``, ``sum_k(x)``, ``sum_ij(x)``, ``sum_j(x)``, ``max_j(x)``, ``sum_b(x)`` reduce over that index;
  ``i(x)`` and ``j(x)`` put a value per response into the rows or the columns of a K x K table;
  ``swap(x)`` exchanges i and j.
- ``exp``, ``log``, ``sigmoid``, ``log_sigmoid``, ``relu``, ``log_odds(x)`` = x - log(1 - exp(x)), ``where``.
- ``last_t(x)`` puts a value per response at its last token, ``next_t(x)`` is x one token later (0 after the
  last).
- given: ``logp``, ``ref_logp`` per token; ``length``, ``shortest``, ``prefer``, ``good``, ``bad``,
  ``demo``, ``score``, ``win``, ``weight``; ``rows``, ``tokens``: the totals of the optimizer step.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from xpo.explain.aligned import aligned

if TYPE_CHECKING:
    from xpo.arrow import OffPolicy

_LATEX_RATIO = (
    r"\log\frac{\pi_\theta(y_t \mid x, y_{<t})}{\pi_\mathrm{ref}(y_t \mid x, y_{<t})}",
    r"\log\pi_\theta(y_t \mid x, y_{<t})",
)

_LATEX_HEAD = (
    r"r(y) = w^\top h(x, y)",
    r"r(y_w, y_l) = w^\top (h_w - h_l) + v_w^\top R\, v_l,\quad v = V h(x, y)",
    r"r(y_w, y_l) = \tfrac{1}{2} w^\top \left(h(x, y_w, y_l) - h(x, y_l, y_w)\right)",
)


@dataclass(frozen=True)
class Formula:
    """Definitions in the order in which they are evaluated, the last one being ``loss``."""

    definitions: tuple[tuple[str, str], ...]
    latex: str

    @property
    def text(self) -> str:
        return aligned(self.definitions)


def formula(arrow: OffPolicy) -> Formula:
    """The objective that an off-policy arrow trains."""
    definitions = [
        *_labels(arrow),
        *arrow.weighting.definitions,
        *_reward(arrow),
        *_anchor(arrow),
        *_noise(arrow),
        *([("beta", repr(arrow.reward.beta))] if arrow.objective.reads_beta else []),
        *arrow.objective.definitions,
        ("row_loss", _row_loss(arrow)),
        *_loss(arrow),
    ]
    return Formula(tuple(definitions), _latex(arrow))


def _labels(c: OffPolicy) -> list[tuple[str, str]]:
    """What an explicit reward makes of labels and scores, where the objective reads them."""
    found = []
    if c.relabels:
        found.append(("prefer", c.reward.labels_text(c.reward_form.text())))
    if c.objective.explicit_reward and c.reward.relabels:
        found.append(("score", c.reward.score_text()))
    return found


def _noise(c: OffPolicy) -> list[tuple[str, str]]:
    """Masses of labels after their assumed noise and their weights."""
    found = []
    if c.label_noise.applies and "comparisons" in c.objective.needs:
        found.append(("prefer", c.label_noise.text("prefer", "swap(prefer)")))
    if c.label_noise.applies and "labels" in c.objective.needs:
        found += [("given_good", "good"), ("good", c.label_noise.text("good", "bad"))]
        found.append(("bad", c.label_noise.text("bad", "given_good")))
    masses = {"comparisons": ("prefer",), "labels": ("good", "bad")}
    read = [name for need, names in masses.items() if need in c.objective.needs for name in names]
    return found + [(name, text) for name, text in c.weighting.mass_text().items() if name in read]


def _reward(c: OffPolicy) -> list[tuple[str, str]]:
    if not c.objective.reads_reward:
        return []
    if c.reward.trains_head:
        return _head(c)
    ratio = "logp - ref_logp" if c.given_reference else "logp"
    linked = c.reward_level.formula(c.divergence.text, c.length.text, "log_ratio")
    offset = f" + {c.length.offset_text()}" if c.length.has_offset else ""
    found = [("log_ratio", ratio), ("reward", c.reward.text(linked) + offset)]
    weighted = c.weighting.reward_text(c.reward.beta)
    return found if weighted is None else [*found, ("reward", weighted)]


def _head(c: OffPolicy) -> list[tuple[str, str]]:
    """What a trained head says: of responses, of their tokens, or of two responses."""
    read = "head"
    if c.reward_level.per_token:
        read = c.length.text("token_head") if not c.reward_form.of_pairs else read
    offset = f" + {c.length.offset_text()}" if c.length.has_offset else ""
    return [("reward", f"{read}{offset}")]


def _anchor(c: OffPolicy) -> list[tuple[str, str]]:
    """What holds rows as they are given, before noise and weights change their masses."""
    return [("anchor", c.anchor.term_text()[0])] if c.anchor.applies else []


def _row_loss(c: OffPolicy) -> str:
    if c.reward.trains_head and c.reward_form.of_pairs:
        return c.objective.text("reward", "", c.margin.formula(c.reward.beta))
    return c.objective.text(*c.polarity.formula("reward"), c.margin.formula(c.reward.beta))


def _loss(c: OffPolicy) -> list[tuple[str, str]]:
    total = "scored_tokens" if c.reduce.per_token and c.objective.counts_scores else c.reduce.text()
    loss = c.weighting.mean_text(f"sum_b(weight * row_loss) / {total}", total)
    found = []
    if c.sft.merges:
        likelihood, total = c.sft.term_text()
        found.append(("nll", likelihood))
        loss = f"{c.sft.preference_weight!r} * {loss} + {c.sft.weight!r} * sum_b(weight * nll) / {total}"
    if c.anchor.applies:
        _, total = c.anchor.term_text()
        loss = f"{loss} + {c.anchor.weight!r} * sum_b(weight * anchor) / {total}"
    return [*found, ("loss", loss)]


def _latex(c: OffPolicy) -> str:
    preferred, dispreferred = c.polarity.formula("r")
    if c.reward.trains_head and c.reward_form.of_pairs:
        preferred, dispreferred = "r", ""
    terms = c.objective.latex(preferred, dispreferred, c.margin.latex(c.reward.beta))
    mean = c.weighting.latex(rf"\mathbb{{E}}\left[{terms}\right]")
    weight = "" if not c.sft.merges or c.sft.preference_weight == 1 else f"{c.sft.preference_weight}\\, "
    likelihood = f" + {c.sft.term_latex()}" if c.sft.merges else ""
    anchor = f" + {c.anchor.term_latex()}" if c.anchor.applies else ""
    lines = [rf"\mathcal{{L}} = {weight}{mean}{likelihood}{anchor}"]
    if c.reward.trains_head:
        lines.append(_LATEX_HEAD[c.reward_form.of_pairs + c.reward.together])
    elif c.objective.reads_reward:
        ratio = _LATEX_RATIO[0 if c.given_reference else 1]
        linked = c.reward_level.formula(c.divergence.latex, c.length.latex, ratio)
        offset = f" + {c.length.offset_latex()}" if c.length.has_offset else ""
        lines.append(rf"r(y) = {c.reward.latex(linked)}{offset}")
    lines += _latex_labels(c)
    if c.objective.reads_beta:
        lines.append(rf"\beta = {c.reward.beta}")
    return ",\\quad\n".join(lines)


def _latex_labels(c: OffPolicy) -> list[str]:
    """Whose labels (w, l) are, where they are not those of the data."""
    found = []
    if c.relabels:
        found.append(rf"p_{{ij}} \leftarrow {c.reward.labels_latex(c.reward_form.latex())}")
    if c.label_noise.applies:
        mixed = c.label_noise.text("p_{ij}", "p_{ji}").replace(" * ", r"\, ")
        found.append(rf"p_{{ij}} \leftarrow {mixed}")
    return [*found, r"(w, l) \sim p"] if found else []
