"""The README says only what is there: commands compose, targets and files exist, tables are complete."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from xpo.compose.compose import compose_config
from xpo.compose.groups import AXES
from xpo.verbs import VERBS

ROOT = Path(__file__).resolve().parent.parent
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]
README = PAGES[0].read_text()
OWN = ("n", "split", "out", "start", "rounds")
"""Keys that verbs read themselves."""
CORE = sorted(path.stem for path in (ROOT / "conf" / "algo").glob("*.yaml"))


def commands(program: str) -> list[tuple[str, str]]:
    """(page, arguments) of every indented command line that starts with a program."""
    pattern = re.compile(rf"^ {{4}}{program}(| .*)$", re.MULTILINE)
    texts = {page.name: re.sub(r"\\\n\s+", "", page.read_text()) for page in PAGES}  # one line each
    return [(name, line.strip()) for name, text in texts.items() for line in pattern.findall(text)]


def arguments_of(line: str) -> list[str]:
    return shlex.split(line, comments=True)


def test_readme_is_short():
    assert len(README.splitlines()) <= 250


@pytest.mark.parametrize(("page", "line"), commands("python -m xpo") + commands("xpo"))
def test_every_command_composes(page: str, line: str):
    # three dots stand for settings that are the reader's own
    arguments = [argument for argument in arguments_of(line) if argument not in ("-m", "...")]
    if arguments and arguments[0] in VERBS:
        arguments = [
            argument
            for argument in arguments[1:]
            if "=" in argument and not argument.startswith("-") and argument.split("=")[0] not in OWN
        ]
    choices = [re.sub(r"=([\w]+),.*", r"=\1", argument) for argument in arguments]
    compose_config(choices)


@pytest.mark.parametrize(("page", "line"), commands("make"))
def test_every_make_target_exists(page: str, line: str):
    target = arguments_of(line)[0]
    assert re.search(rf"^{target}:", (ROOT / "Makefile").read_text(), flags=re.MULTILINE), (
        f"{page}: make {target}"
    )


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_link_leads_somewhere(page: Path):
    links = re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", page.read_text())
    dead = [link for link in links if not link.startswith("http") and not (page.parent / link).exists()]
    assert not dead


@pytest.mark.parametrize(("number", "axis"), list(enumerate(AXES, 1)))
def test_the_axis_table_lists_every_option(number: int, axis: str):
    row = next(line for line in README.splitlines() if line.startswith(f"| {number} | `{axis}` |"))
    listed = set(row.split("|")[4].replace(" ", "").split(","))
    assert listed == {path.stem for path in (ROOT / "conf" / axis).glob("*.yaml")}


def test_the_method_table_lists_every_preset():
    table = README.split("## Methods")[1].split("[docs/methods.md]")[0]
    assert sorted(re.findall(r"`(\w+)`", table)) == CORE


def test_generated_blocks_are_filled():
    empty = re.findall(r"<!-- (\w+):begin -->\s*<!-- \1:end -->", README)
    assert not empty, f"blocks without content: {empty}"


@pytest.mark.parametrize("verb", VERBS)
def test_help_and_readme_know_every_verb(verb: str):
    help_text = (ROOT / "conf" / "hydra" / "help" / "xpo.yaml").read_text()
    assert f"python -m xpo {verb} " in help_text or f"python -m xpo {verb}\n" in help_text
    assert f"xpo {verb}" in README
