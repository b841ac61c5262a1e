"""All numbers of one comparison, for a terminal, for programs (``agreement.json``) and for a page."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from xpo.agreement import measures
from xpo.agreement.measures import Bin, Estimate, wilson
from xpo.agreement.pairs import Compared, Pair, Single
from xpo.run.table import Table, render


@dataclass(frozen=True)
class Line:
    """One number: its name in agreement.json, what it is, how to read it."""

    name: str
    title: str
    estimate: Estimate
    note: str = ""
    percent: bool = True

    @property
    def value(self) -> str:
        return _shown(self.estimate.value, self.percent)

    @property
    def interval(self) -> str:
        """Where it lies with 95 % confidence."""
        if self.estimate.low is None:
            return ""
        return f"{_shown(self.estimate.low, self.percent)} to {_shown(self.estimate.high, self.percent)}"


@dataclass(frozen=True)
class Report:
    """What an annotator's labels are like. ``about``: who labelled what, as plain values."""

    about: dict[str, Any]
    lines: tuple[Line, ...]
    bins: tuple[Bin, ...]
    error: float | None  # expected calibration error
    compared: Compared

    def as_json(self) -> dict[str, Any]:
        """Everything, under names that stay the same from version to version."""
        values = {line.name: dataclasses.asdict(line.estimate) for line in self.lines}
        curve = [dataclasses.asdict(one) for one in self.bins]
        calibration = None if self.error is None else {"expected_error": self.error, "bins": curve}
        return {**self.about, **values, "calibration": calibration, "left_out": self.compared.left_out}

    def table(self, terminal: bool) -> str:
        """For a person."""
        rows = [[line.title, line.value, line.interval, line.note] for line in self.lines]
        if self.error is not None:
            rows.append(
                ["expected calibration error", _shown(self.error, True), "", "0 if probabilities hold"]
            )
        head = ["", "value", "95 % over prompts", "how to read it"]
        text = render(Table(head, rows, self.title, frozenset({1})), terminal)
        return text + "".join(f"left out: {number} {why}\n" for why, number in self.compared.left_out.items())

    @property
    def title(self) -> str:
        a = self.about
        what = f"{a['pairs']} pairs" if a["pairs"] else f"{a['singles'] + a['scored']} responses"
        return f"annotator={a['annotator']['name']} against the labels of {what}, {a['prompts']} prompts"


def report(compared: Compared, about: dict[str, Any]) -> Report:
    """Measure everything that can be."""
    pairs, singles = compared.pairs, compared.singles
    items: list[Pair | Single] = [*pairs, *singles]
    prompts = len({item.prompt for item in (*items, *compared.scored)})
    sizes = {"pairs": len(pairs), "singles": len(singles), "scored": len(compared.scored)}
    counts = {"prompts": prompts, **sizes}
    found = measures.calibration(items)
    return Report(
        {**about, **counts},
        (*_agreement(items), *_alone(compared), *(_biases(pairs) if pairs else ())),
        tuple(found[0]) if found else (),
        found[1] if found else None,
        compared,
    )


def _agreement(items: Sequence[Pair | Single]) -> list[Line]:
    if not any(isinstance(item, Pair) or item.found is not None for item in items):
        return []
    share = measures.accuracy(items)
    prompts = len({item.prompt for item in items if item.own != 0.5})
    low, high = (None, None) if share.value is None else wilson(share.value, prompts)
    return [
        Line("accuracy", "accuracy", share, "ties half; 50 % is chance"),
        Line(
            "accuracy_wilson", "  by Wilson", Estimate(share.value, low, high), "as if a prompt were one pair"
        ),
        Line("kappa", "Cohen's kappa", measures.kappa(items), "0 is chance, 1 agreement", percent=False),
    ]


def _alone(compared: Compared) -> list[Line]:
    """Scores of single responses against whether they are good, or against other scores."""
    lines = []
    if any(single.score is not None for single in compared.singles):
        note = "a good response above a bad one; 0.5 is chance"
        lines.append(Line("auc", "AUC of scores", measures.auc(compared.singles), note, percent=False))
    if compared.scored:
        found = measures.rank_correlation(compared.scored)
        lines.append(Line("spearman", "rank correlation of scores", found, "1 is the same order", False))
    return lines


def _biases(pairs: Sequence[Pair]) -> list[Line]:
    longer = measures.longer_wins(pairs)
    return [
        Line("first_wins", "first response wins", measures.first_share(pairs), "50 % without position bias"),
        Line("position_bias", "position bias", measures.position_bias(pairs), "wins first less wins second"),
        Line("consistency", "same winner in both orders", measures.consistency(pairs)),
        Line("longer_wins", "longer response wins", longer["annotator"], "for the annotator"),
        Line("longer_wins_label", "  for the label", longer["label"]),
        Line("length_bias", "length bias", longer["difference"], "annotator less label"),
    ]


def _shown(value: float | None, percent: bool) -> str:
    if value is None:
        return "-"
    return f"{100 * value:.1f} %" if percent else f"{value:.3f}"
