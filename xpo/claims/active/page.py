"""What docs/active.md shows: what is run, label curves, ratios, and a picture."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from xpo.claims.active.curve import Ratio, Runs, mean, ratio
from xpo.claims.curves import HEIGHT, LEFT, WIDTH, Curve, svg

Case = Mapping[str, Any]
World = Mapping[str, Mapping[str, Runs]]
"""By choice and metric, each seed's values after each round."""
Found = Mapping[str, World]
DRAWN = "random"


def holds(case: Case, found: Found) -> bool:
    """Whether what is claimed reaches the level of the draw's whole budget with fewer labels in two worlds.

    True of a case that claims nothing.
    """
    if case["claims"] is None:
        return True
    query, metric = case["claims"]["query"], case["claims"]["metric"]
    return (
        sum(of_world(case, world, query, metric, case["rounds"]).value < 1 for world in found.values()) >= 2
    )


def of_world(case: Case, world: World, query: str, metric: str, rounds: int) -> Ratio:
    """A choice against the draw, at the level of that after so many rounds."""
    drawn, chosen = (_lacks(case, world[name][metric], metric) for name in (DRAWN, query))
    return ratio(labels_of(case), drawn, chosen, rounds)


def together(worlds: Found) -> World:
    """Each seed's mean over worlds."""
    first = next(iter(worlds.values()))
    return {
        query: {
            metric: [mean(same) for same in zip(*(w[query][metric] for w in worlds.values()), strict=True)]
            for metric in first[query]
        }
        for query in first
    }


def labels_of(case: Case) -> list[int]:
    """Bought after each round."""
    return [case["budget"] * (number + 1) for number in range(case["rounds"])]


def _lacks(case: Case, runs: Runs, metric: str) -> Runs:
    sign = {"less": 1, "more": -1}[case["metrics"][metric]]
    return [[sign * value for value in run] for run in runs]


def section(cases: Sequence[Case], found: Mapping[str, Found]) -> str:
    """Markdown: the picture, then what is run and the tables of each case."""
    parts = ["![label curves](active.svg)"]
    for case in cases:
        worlds = found[case["name"]]
        parts += [
            f"### {case['title']}",
            _what(case, worlds),
            "\n".join(_table(case, worlds)),
        ]
    return "\n\n".join(parts)


def _what(case: Case, worlds: Found) -> str:
    runs = next(iter(next(iter(worlds.values()))[DRAWN].values()))
    budget = f"query={DRAWN} query.budget={case['budget']} schedule.rounds={case['rounds']}"
    choices = "; ".join(f"{query}: `{' '.join(given)}`" for query, given in case["queries"].items())
    command = f"    python -m xpo {' '.join(case['run'])} {budget}"
    says = f"{case['says']} Means over {len(runs)} seeds."
    return f"{says}\n\n{command}\n\nwith `data.seed=` the world, and {choices}."


def _table(case: Case, worlds: Found) -> list[str]:
    """A line for each metric, world and choice."""
    labels, half = labels_of(case), case["rounds"] // 2
    lines = [
        f"| metric | world | chosen by | after {labels[0]}, {labels[1]}, ... {labels[-1]} labels"
        f" | labels, level of {labels[half - 1]} drawn | of {labels[-1]} drawn |",
        "|---|---|---|---|---|---|",
    ]
    for metric in case["metrics"]:
        for name, world in [*worlds.items(), ("all", together(worlds))]:
            for query, runs in world.items():
                curve = " ".join(f"{value:.3f}" for value in mean(runs[metric]))
                told = ["", ""]
                if query != DRAWN:
                    told = [_told(of_world(case, world, query, metric, at)) for at in (half, case["rounds"])]
                lines.append(f"| `{metric}` | {name} | {query} | {curve} | {' | '.join(told)} |")
    return lines


def _told(found: Ratio) -> str:
    """Labels, their ratio and its interval; what lies beyond all labels is unknown."""
    if not math.isfinite(found.chosen):
        return f"never ({_number(found.low)} to never)"
    ends = f"{_number(found.low)} to {_number(found.high)}"
    return f"{found.chosen:.0f} : {found.drawn:.0f} = {_number(found.value)} ({ends})"


def _number(value: float) -> str:
    return f"{value:.2f}" if math.isfinite(value) else "never"


def drawn(cases: Sequence[Case], found: Mapping[str, Found]) -> str:
    """Label curves of the cases that claim something: a row for each world, a column for each metric."""
    rows = [
        [_panel(case, name, metric, world) for metric in case["metrics"]]
        for case in cases
        if case["claims"] is not None
        for name, world in found[case["name"]].items()
    ]
    return grid(rows)


def _panel(case: Case, name: str, metric: str, world: World) -> str:
    curves = [Curve(query, labels_of(case), mean(runs[metric])) for query, runs in world.items()]
    names = {"less": WIDTH * 0.75, "more": LEFT + 12.0}[case["metrics"][metric]]  # where no curve is
    return svg(f"{case['title']}, world {name}", "labels", metric, curves, names)


def grid(rows: Sequence[Sequence[str]]) -> str:
    """Pictures of the same size, in rows, as one."""
    size = f'width="{WIDTH}" height="{HEIGHT}"'
    inside = [
        panel.replace("<svg ", f'<svg x="{column * WIDTH}" y="{row * HEIGHT}" {size} ', 1)
        for row, panels in enumerate(rows)
        for column, panel in enumerate(panels)
    ]
    across, down = WIDTH * max(map(len, rows)), HEIGHT * len(rows)
    return "\n".join(
        [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {across} {down}">', *inside, "</svg>", ""]
    )
