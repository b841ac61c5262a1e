"""``xpo table``: every method on the survey's 13 axes, with the row that the survey itself prints."""

from __future__ import annotations

import argparse
import json

from xpo.compose.groups import AXES
from xpo.explain.presets import Preset, read_all


def main(arguments: list[str]) -> int:
    """Print the table; imports neither torch nor Hydra."""
    parser = argparse.ArgumentParser(
        "xpo table", description="Every method (algo=...) on the survey's 13 axes."
    )
    parser.add_argument("--format", choices=sorted(FORMATS), default="text")
    print(FORMATS[parser.parse_args(arguments).format](read_all()))
    return 0


def as_json(presets: list[Preset]) -> str:
    """A list of ``{algo, axes, survey, paper}``; ``axes`` has 13 entries, ``survey`` those that it prints."""
    rows = [{"algo": p.algo, "axes": p.axes, "survey": p.survey, "paper": p.paper} for p in presets]
    return json.dumps(rows, indent=2, ensure_ascii=False)


def as_markdown(presets: list[Preset]) -> str:
    """One line per method; where the survey prints something else, it stands behind in brackets."""
    lines = ["| algo | " + " | ".join(AXES) + " | paper |", "|---" * (len(AXES) + 2) + "|"]
    for preset in presets:
        cells = [_with_survey(preset, axis) for axis in AXES]
        lines.append(f"| {preset.algo} | " + " | ".join(cells) + f" | {preset.paper} |")
    return "\n".join(lines)


def as_text(presets: list[Preset]) -> str:
    """Two aligned lines per method: the values that it runs with, and the survey's row."""
    rows = [["algo", *AXES]]
    for preset in presets:
        rows.append([preset.algo, *preset.axes.values()])
        if preset.survey:
            rows.append(["  survey", *(preset.survey.get(axis, "") for axis in AXES)])
    widths = [max(len(row[column]) for row in rows) for column in range(len(AXES) + 1)]
    return "\n".join("  ".join(map(str.ljust, row, widths)).rstrip() for row in rows)


def _with_survey(preset: Preset, axis: str) -> str:
    value, printed = preset.axes[axis], preset.survey.get(axis)
    return value if printed in (None, value) else f"{value} ({printed})"


FORMATS = {"text": as_text, "markdown": as_markdown, "json": as_json}
