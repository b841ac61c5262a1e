"""``xpo explain``: what a combination trains, before it is run."""

from __future__ import annotations

import argparse
import dataclasses
import json
from typing import TYPE_CHECKING, Any

from xpo.compose.groups import AXES
from xpo.explain.aligned import aligned
from xpo.explain.presets import Preset, read
from xpo.written import written

if TYPE_CHECKING:
    from xpo.compose.composition import Composition
    from xpo.explain.formula import Formula

SHOWN = (
    *AXES,
    "objective",
    "label_noise",
    "margin",
    "weighting",
    "anchor",
    "critic",
    "penalty",
    "advantage",
    "policy_loss",
    "constraint",
    "query",
    "reduce",
    "adapter",
    "optimizer",
)
"""Groups whose settings belong to the method; models, data and loggers do not."""

_CREDIT = "Rewards and advantages, of a whole rollout, without gradient"


@dataclasses.dataclass(frozen=True)
class Explanation:
    """Everything that ``xpo explain`` prints."""

    preset: Preset
    formula: Formula
    credit: tuple[tuple[str, str], ...]
    symbols: dict[str, str]
    axes: dict[str, str]
    settings: dict[str, Any]
    needs: list[str]
    notes: list[str]


def main(arguments: list[str]) -> int:
    """Compose, explain, print. A combination without meaning raises ``Refused`` with its reason."""
    parser = argparse.ArgumentParser(
        "xpo explain", description="The composed objective, its axes, what it needs. Nothing is run."
    )
    parser.add_argument("overrides", nargs="*", help="as for a run: algo=METHOD divergence=OPTION ...")
    parser.add_argument("--format", choices=("text", "json"), default="text")
    given = parser.parse_args(arguments)
    explanation = explain(given.overrides)
    print(as_json(explanation) if given.format == "json" else as_text(explanation))
    return 0


def explain(overrides: list[str]) -> Explanation:
    """What the overrides compose to. Raises ``ConfigError`` and ``Refused`` as a run would."""
    from xpo.compose import build, compose_config

    return explained(build(compose_config(overrides)))


def explained(composition: Composition) -> Explanation:
    """The same of what is composed already."""
    from xpo.arrows import arrow_of, credit_of, formula_of
    from xpo.explain.notes import needs, notes
    from xpo.explain.symbols import symbols

    arrow = arrow_of(composition)
    composed, credit = formula_of(arrow), credit_of(arrow)
    return Explanation(
        preset=read(composition.config["algo"]["name"]),
        formula=composed,
        credit=credit,
        symbols=symbols(*composed.definitions, *credit),
        axes={axis: composition.option(axis) for axis in AXES},
        settings=_settings(composition),
        needs=needs(composition, arrow),
        notes=notes(composition, arrow),
    )


def _settings(composition: Composition) -> dict[str, Any]:
    parts = composition.components()
    return {
        f"{group}.{field.name}": getattr(parts[group], field.name)
        for group in SHOWN
        for field in dataclasses.fields(parts[group])
    }


def as_text(e: Explanation) -> str:
    """Sections for a terminal."""
    survey = {axis: e.preset.survey.get(axis, "") for axis in AXES}
    axes = [
        [str(n), axis, value, survey[axis], _changed(e.preset.axes[axis], value)]
        for n, (axis, value) in enumerate(e.axes.items(), 1)
    ]
    sections: dict[str, list[str]] = {
        f"{e.preset.algo}: {e.preset.title} ({e.preset.paper})": [],
        "Objective": e.formula.text.splitlines(),
        **({_CREDIT: aligned(e.credit).splitlines()} if e.credit else {}),
        "where": _columns([[name, meaning] for name, meaning in e.symbols.items()]),
        "LaTeX": e.formula.latex.splitlines(),
        "Axes": _columns([["", "axis", "value", "survey", ""], *axes]),
        "Needs": e.needs,
        "Settings": _columns([[key, written(value)] for key, value in e.settings.items()]),
        "Notes": e.notes,
    }
    return "\n\n".join(
        "\n".join([title, *(f"  {line}" for line in body)]) for title, body in sections.items()
    )


def as_json(e: Explanation) -> str:
    """The same for programs."""
    body = {
        "algo": e.preset.algo,
        "title": e.preset.title,
        "paper": e.preset.paper,
        "formula": {"text": e.formula.text, "latex": e.formula.latex},
        "advantages": dict(e.credit),
        "symbols": e.symbols,
        "axes": e.axes,
        "survey": e.preset.survey,
        "needs": e.needs,
        "settings": e.settings,
        "notes": e.notes,
    }
    return json.dumps(body, indent=2, ensure_ascii=False)


def _changed(preset: str, value: str) -> str:
    return "" if preset == value else f"(the preset has {preset})"


def _columns(rows: list[list[str]]) -> list[str]:
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))] if rows else []
    return ["  ".join(map(str.ljust, row, widths)).rstrip() for row in rows]
