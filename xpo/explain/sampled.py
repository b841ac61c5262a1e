"""Which presets of given rows train on samples of the policy, and why others do not, as a page.

python -m xpo.explain.sampled [docs/sampled_presets.md]
"""

from __future__ import annotations

import sys
from functools import cache
from pathlib import Path

from xpo.compose import build, presets
from xpo.compose.assembled import assembled
from xpo.compose.composition import Composition
from xpo.compose.errors import Refused
from xpo.run.files import write_text

WHEN = {
    "every step": ("sampling=on_policy", "schedule=online"),
    "rounds": ("sampling=on_policy", "schedule=iterative"),
}
HEAD = """# Presets of given rows, on samples

`python -m xpo.explain.sampled docs/sampled_presets.md` writes this page, from what the rules say of each
preset with `annotator=gold sampling=on_policy` under `schedule=online` (every step) and `schedule=iterative`
(rounds). A test runs every combination that is not refused.
"""


def off_policy() -> list[str]:
    """Presets that train on rows as they are given."""
    return [name for name in presets() if not _as_it_is(name).sampling.samples]


@cache
def _as_it_is(name: str) -> Composition:
    return build(assembled([f"algo={name}", "data=gold"]))


def refusal(name: str, when: tuple[str, ...]) -> str:
    """Why a preset does not train on samples; an empty text if it does."""
    try:
        build(assembled([f"algo={name}", "data=gold", *overrides(name, when)]))
    except Refused as error:
        return " ".join(str(error).splitlines()[0].split())
    return ""


def overrides(name: str, when: tuple[str, ...]) -> tuple[str, ...]:
    """With the gold world's settings that are about drawn rows back at what samples need."""
    parts = _as_it_is(name)
    drawn = ("data.mode=population",) if parts.data.certain_labels else ()
    single = parts.arity.sizes == (1, 1)
    return (*when, "annotator=gold", f"sampling.responses={2 if single else 4}", *drawn)


def page() -> str:
    """Markdown."""
    lines = [HEAD, f"| preset | {' | '.join(WHEN)} |", f"|---|{'---|' * len(WHEN)}"]
    for name in off_policy():
        cells = [refusal(name, when) for when in WHEN.values()]
        told = [
            "runs" if not cell else "as before" if i and cell == cells[0] else cell
            for i, cell in enumerate(cells)
        ]
        lines.append(f"| `{name}` | {' | '.join(told)} |")
    return "\n".join(lines) + "\n"


def main(argv: list[str]) -> int:
    text = page()
    if argv:
        write_text(Path(argv[0]), text)
    else:
        print(text)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
