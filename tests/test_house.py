"""The house rules that no linter knows: sizes, names, paths, what start-up imports."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from xpo.compose.compose import option_files, presets
from xpo.compose.groups import AXES, GROUPS, ROOT_KEYS

ROOT = Path(__file__).resolve().parent.parent
LONGEST_FILE = 250
LONGEST_FUNCTION = 45
FOLDERS = ("xpo", "conf", "plugins", "tests", "benchmarks", "docs")
HEAVY = ("torch", "lightning", "transformers", "datasets")


def project_files(*suffixes: str) -> Iterator[Path]:
    for folder in FOLDERS:
        for path in sorted((ROOT / folder).rglob("*")):
            if path.suffix in suffixes and "__pycache__" not in path.parts:
                yield path


def core_python() -> Iterator[tuple[Path, ast.Module]]:
    for path in sorted((ROOT / "xpo").rglob("*.py")):
        yield path, ast.parse(path.read_text())


def own_length(function: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    docstring = ast.get_docstring(function, clean=False) or ""
    assert function.end_lineno is not None
    return function.end_lineno - function.lineno + 1 - len(docstring.splitlines())


def is_component_file(tree: ast.Module) -> bool:
    classes = [node for node in ast.walk(tree) if isinstance(node, ast.ClassDef)]
    return any("register(" in ast.unparse(mark) for cls in classes for mark in cls.decorator_list)


def test_files_are_short():
    long = {
        str(path.relative_to(ROOT)): count
        for path in project_files(".py", ".yaml")
        if (count := len(path.read_text().splitlines())) > LONGEST_FILE
    }
    assert not long, f"over {LONGEST_FILE} lines, worth splitting along an idea: {long}"


def test_functions_are_short():
    long = [
        f"{path.relative_to(ROOT)}:{node.lineno} {node.name}"
        for path in project_files(".py")
        if "tests" not in path.parts
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and own_length(node) > LONGEST_FUNCTION
    ]
    assert not long, f"functions over {LONGEST_FUNCTION} lines: {long}"


def test_no_core_file_names_a_method():
    methods = set(presets()) - set(GROUPS) - ROOT_KEYS  # "sft" is an axis and a stage too
    named = [
        f"{path.relative_to(ROOT)}:{node.lineno} {node.value!r}"
        for path, tree in core_python()
        if not is_component_file(tree)
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant)
        and isinstance(node.value, str)
        and names_method(node.value, methods)
    ]
    assert not named, f"a preset could not be renamed without a change here: {named}"


def names_method(text: str, methods: set[str]) -> bool:
    return text in methods or any(f"algo={method}" in text.split() for method in methods)


def test_no_module_decides_on_an_options_name():
    options = {option for group in GROUPS for option in option_files(group)} | set(presets())
    decided = [
        f"{path.relative_to(ROOT)}:{node.lineno} {ast.unparse(node)}"
        for path, tree in core_python()
        for node in ast.walk(tree)
        if isinstance(node, ast.Compare) and compares_name(node, options)
    ]
    assert not decided, f"use a declaration (ClassVar) of the component: {decided}"


def compares_name(node: ast.Compare, options: set[str]) -> bool:
    sides = [node.left, *node.comparators]
    literals = {part.value for side in sides for part in ast.walk(side) if isinstance(part, ast.Constant)}
    reads = any(
        re.search(r"(\.name|\.option\(.*\)|\[['\"]name['\"]\])$", ast.unparse(side)) for side in sides
    )
    return reads and bool(literals & options)


@pytest.mark.parametrize("arguments", [["--help"], ["table"], ["table", "--format", "json"]], ids=" ".join)
def test_start_up_is_light(arguments: list[str]):
    code = (
        "import sys\nfrom xpo.cli import main\n"
        f"try:\n    main({arguments!r})\nexcept SystemExit as end:\n    assert not end.code, end.code\n"
        f"heavy = [name for name in {HEAVY!r} if name in sys.modules]\n"
        "assert not heavy, f'imported at start-up: {heavy}'\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 0, done.stderr


def test_importing_the_package_is_light():
    code = f"import sys, xpo; assert not [n for n in {HEAVY + ('hydra',)!r} if n in sys.modules]"
    subprocess.run([sys.executable, "-c", code], check=True, cwd=ROOT)


def test_nothing_names_a_machine():
    places = re.compile(r"(?<![\w.])/(?:home|root|Users|work|mnt|opt)/\w|[a-z]:\\\\users", re.IGNORECASE)
    top = [path for path in ROOT.iterdir() if path.is_file()]
    found = [
        f"{path.relative_to(ROOT)}:{number}"
        for path in [*top, *project_files(".py", ".yaml", ".md", ".toml", ".html", ".svg")]
        if path != Path(__file__)
        for number, line in enumerate(path.read_text(errors="ignore").splitlines(), 1)
        if places.search(line)
    ]
    assert not found, f"absolute paths of some machine: {found}"


def test_every_conf_folder_is_a_group_and_every_group_has_options():
    folders = {path.name for path in (ROOT / "conf").iterdir() if path.is_dir()}
    assert folders - set(GROUPS) <= {"algo", "experiment", "hydra"}
    assert not [group for group in GROUPS if not option_files(group)]


@pytest.mark.parametrize("axis", AXES)
def test_every_preset_sets_every_axis(axis: str):
    for preset in presets():
        text = "".join(path.read_text() for path in preset_files(preset))
        assert f"override /{axis}: " in text, f"algo={preset} leaves {axis} open"


def preset_files(preset: str) -> list[Path]:
    """A preset's file and those of the presets that it starts from."""
    path = next(ROOT / folder / "algo" / f"{preset}.yaml" for folder in conf_folders(preset))
    parents = re.findall(r"^  - (\w+)$", path.read_text(), flags=re.MULTILINE)
    return [path, *(file for parent in parents if parent != "_self_" for file in preset_files(parent))]


def conf_folders(preset: str) -> list[Path]:
    folders = [ROOT / "conf", *(ROOT / "plugins").glob("*/*/conf")]
    return [folder for folder in folders if (folder / "algo" / f"{preset}.yaml").is_file()]
