"""``xpo label``: a person labels the rows that a run waits for."""

from __future__ import annotations

import shlex
from pathlib import Path

from xpo.compose.errors import ConfigError
from xpo.labelling.asked import FILE
from xpo.run.files import read_json
from xpo.run.say import shown

USAGE = """usage: xpo label <run folder or to_label.jsonl> [seed=0]

Shows each prompt that waits for a label with its responses, in an order drawn by seed that does not say
where they come from. 1, 2, ... is the best response, t a tie (of one response: g good, x bad), s skips, b
goes back, q quits; where scores are wanted, type them in the order on the screen. Each label is in the file
at once; start again to go on. Without a terminal, each line of standard input is an answer."""


def main(arguments: list[str]) -> int:
    """Label the rows of one file. Raises ``ConfigError`` for a folder in which nothing waits."""
    if {"-h", "--help"} & set(arguments):
        print(USAGE)
        return 0
    seeds = [argument for argument in arguments if argument.startswith("seed=")]
    places = [argument for argument in arguments if argument not in seeds]
    seed = seeds[-1].partition("=")[2] if seeds else "0"
    if len(places) != 1 or not seed.isdecimal():
        raise ConfigError(f"one folder or file, and a whole number as seed, got {arguments}\n{USAGE}")
    path = _file(Path(places[0]).expanduser())

    from xpo.labelling.keyboard import keyboard
    from xpo.labelling.session import Session
    from xpo.labelling.shown import console

    with keyboard() as keys:
        done, total = Session(path, int(seed), console(), keys).run()
    print(f"\n{done} of {total} labelled, in {shown(path)}")
    print(_next(path) if done == total else f"{total - done} left: xpo label {places[0]}")
    return 0


def _file(place: Path) -> Path:
    path = place / FILE if place.is_dir() else place
    if not path.is_file():
        hint = "" if place.is_dir() else f"{place}: no such file or folder. "
        raise ConfigError(f"{hint}Nothing waits for a label here: a run that waits leaves a file {FILE}")
    return path


def _next(path: Path) -> str:
    """How the run goes on, as its manifest says it was started."""
    manifest = path.parent / "manifest.json"
    argv = read_json(manifest).get("argv", []) if manifest.is_file() else []
    words = [word for word in argv if not word.startswith("hydra.run.dir=")]
    command = shlex.join(["xpo", *words, f"hydra.run.dir={shown(path.parent)}"])
    return f"The run goes on with the command that started it: {command}"
