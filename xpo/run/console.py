"""What a run and a sweep print at their end."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from xpo.run.table import Table, is_terminal, render


@dataclass(frozen=True)
class Line:
    """A metric as the final table shows it."""

    metric: str
    label: str
    percent: bool = False
    short: str = ""  # at the head of a column


LINES = (
    Line("gold/gap_closed", "gap to the optimum closed", percent=True, short="gap closed"),
    Line("gold/reward", "reward"),
    Line("gold/reward_share", "share of the highest reward", percent=True, short="reward share"),
    Line("gold/divergence", "divergence from the reference"),
    Line("gold/kl_to_optimum", "KL(optimum || policy)", short="KL from optimum"),
    Line("gold/exploitability", "exploitability"),
    Line(
        "gold/average/exploitability", "exploitability of the mean over rounds", short="mean exploitability"
    ),
    Line("gold/regularised_gap", "exploitability of the regularised game", short="regularised gap"),
    Line("gold/cost", "cost"),
    Line("gold/win_rate", "win rate against the reference", percent=True),
    Line("gold/pair_accuracy", "pairs ordered as labelled", percent=True, short="pair accuracy"),
    Line("gold/bayes_accuracy", "the best that labels allow", percent=True),
    Line("gold/spearman", "rank correlation with the true reward", short="rank correlation"),
    Line("gold/intransitive_triads/found", "of the labels' cycles, found", percent=True),
    Line("eval/sample_score", "score of held-out samples", short="sample score"),
    Line("eval/sample_length", "their length in tokens", short="sample length"),
    Line("eval/sample_finished", "of them that end", percent=True),
    Line("eval/loss", "loss"),
    Line("eval/accuracy", "labels told right", percent=True),
    Line("eval/sign_accuracy", "signs told right", percent=True),
    Line("eval/share_good", "of the labels, good", percent=True, short="good labels"),
    Line("eval/rewards/accuracies", "reward accuracy", percent=True),
    Line("eval/rewards/margins", "reward margin"),
    Line("eval/common/log_ratio_accuracy", "accuracy of the log-ratio", percent=True),
    Line("eval/common/mean_logp_accuracy", "accuracy of the mean log-prob", True, short="log-prob accuracy"),
    Line("eval/common/logp_per_token_chosen", "log-prob per token, preferred"),
    Line("eval/common/logp_per_token_rejected", "log-prob per token, dispreferred"),
    Line("eval/common/length_chosen", "tokens, preferred"),
    Line("eval/common/length_rejected", "tokens, dispreferred"),
    Line("eval/common/kl_policy_ref", "KL to the reference per token", short="KL per token"),
)
"""The final table's lines, in its order; a run shows those that it has."""

SWEEP_METRICS = (
    "gold/gap_closed",
    "gold/reward_share",
    "gold/kl_to_optimum",
    "eval/sample_score",
    "eval/accuracy",
    "eval/sign_accuracy",
    "eval/rewards/accuracies",
    "eval/common/mean_logp_accuracy",
    "eval/common/kl_policy_ref",
)
"""Columns of a sweep's table, of those that any cell has."""


def render_outcome(
    columns: Mapping[str, Mapping[str, float]],
    *,
    title: str,
    seconds: float,
    where: str,
    terminal: bool | None = None,
) -> str:
    """A run's final table and one line that says where things lie.

    ``columns``: metrics by name for each column, say ``before``, ``after`` and ``optimum``; a metric
    that a column lacks is left blank there.
    """
    boxed = is_terminal() if terminal is None else terminal
    lines = [line for line in LINES if any(line.metric in metrics for metrics in columns.values())]
    rows = [
        [line.label, *(_cell(metrics.get(line.metric), line) for metrics in columns.values())]
        for line in lines
    ]
    numbers = frozenset(range(1, len(columns) + 1))
    table = render(Table(["", *columns], rows, title, numbers), boxed) if rows else f"{title}\n"
    return f"{table}{duration(seconds)}; everything lies in {where}\n"


def render_sweep(rows: Sequence[Mapping[str, Any]], terminal: bool | None = None) -> str:
    """The table of all cells of a sweep; below it the refused and failed ones with their reason.

    A row has ``status`` and may have ``settings`` (what varies, name to value) or ``overrides``,
    ``metrics``, ``seconds``, ``reason`` and ``dir``.
    """
    boxed = is_terminal() if terminal is None else terminal
    varied = list(dict.fromkeys(key for row in rows for key in row.get("settings", {})))
    shown = [name for name in SWEEP_METRICS if any(name in row.get("metrics", {}) for row in rows)]
    # words wrap in a box; a plain head is one line, and names without blanks can be cut out of it
    names = [_LINE_OF[name].short or _LINE_OF[name].label for name in shown] if boxed else shown
    head = [*(varied or ["overrides"]), "status", *names, "time"]
    cells = [_sweep_cells(row, varied, shown) for row in rows]
    first = len(varied or [""]) + 1
    numbers = frozenset(range(first, first + len(shown) + 1))
    return render(Table(head, cells, _counted(rows), numbers), boxed) + _reasons(rows)


def duration(seconds: float) -> str:
    """``42.1 s``, ``3 min 5 s``, ``2 h 10 min``."""
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"


def _sweep_cells(row: Mapping[str, Any], varied: Iterable[str], shown: Iterable[str]) -> list[str]:
    settings = row.get("settings", {})
    which = [str(settings.get(key, "")) for key in varied] or [" ".join(row.get("overrides", ()))]
    metrics = row.get("metrics", {})
    numbers = [_cell(metrics.get(name), _LINE_OF[name]) for name in shown]
    seconds = duration(row["seconds"]) if row.get("seconds") else ""
    return [*which, str(row["status"]), *numbers, seconds]


def _reasons(rows: Sequence[Mapping[str, Any]]) -> str:
    """Under the table, at full width: in a column of it a sentence would be a word wide."""
    return "".join(
        f"\n{row['status']}: {_which(row)}\n  {row['reason']}\n" for row in rows if row.get("reason")
    )


def _which(row: Mapping[str, Any]) -> str:
    settings = row.get("settings", {})
    return " ".join(f"{key}={value}" for key, value in settings.items()) or " ".join(row.get("overrides", ()))


def _counted(rows: Sequence[Mapping[str, Any]]) -> str:
    counts: dict[str, int] = {}
    for row in rows:
        counts[str(row["status"])] = counts.get(str(row["status"]), 0) + 1
    return f"{len(rows)} cells: " + ", ".join(f"{count} {status}" for status, count in counts.items())


def _cell(value: float | None, line: Line) -> str:
    if value is None:
        return ""
    if not math.isfinite(value):
        return str(value)
    return f"{100 * value:.1f} %" if line.percent else f"{value:.4g}"


_LINE_OF = {line.metric: line for line in LINES}
