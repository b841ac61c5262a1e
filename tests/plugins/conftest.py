"""The example plugin in the two places where a user can put one: a folder, and a fresh environment."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Callable
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
EXAMPLE = ROOT / "plugins" / "example"

Xpo = Callable[..., subprocess.CompletedProcess[str]]


def call(python: Path, folder: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """``python -m xpo`` in a folder, as a user there would call it."""
    kept = {key: value for key, value in os.environ.items() if key not in ("PYTHONPATH", "XPO_PLUGINS")}
    return subprocess.run(
        [str(python), "-m", "xpo", *arguments],
        cwd=folder,
        env={**kept, "OMP_NUM_THREADS": "1", **environment},
        capture_output=True,
        text=True,
    )


def core_without_plugins(folder: Path) -> Path:
    """A copy of the core's source alone, so that the plugins of the checkout are out of reach."""
    for part in ("xpo", "conf"):
        shutil.copytree(ROOT / part, folder / part, ignore=shutil.ignore_patterns("__pycache__"))
    return folder


@pytest.fixture(scope="session")
def dropped(tmp_path_factory: pytest.TempPathFactory) -> Xpo:
    """A working folder with ``plugins/example`` copied into it, and the core elsewhere."""
    core = core_without_plugins(tmp_path_factory.mktemp("core"))
    folder = tmp_path_factory.mktemp("dropped")
    shutil.copytree(EXAMPLE, folder / "plugins" / "example", ignore=shutil.ignore_patterns("__pycache__"))
    return lambda *arguments: call(Path(sys.executable), folder, *arguments, PYTHONPATH=str(core))


@pytest.fixture(scope="session")
def bare(tmp_path_factory: pytest.TempPathFactory) -> Xpo:
    """The core alone: no plugin anywhere."""
    core = core_without_plugins(tmp_path_factory.mktemp("bare"))
    folder = tmp_path_factory.mktemp("empty")
    return lambda *arguments: call(Path(sys.executable), folder, *arguments, PYTHONPATH=str(core))


@pytest.fixture(scope="session")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Xpo:
    """A fresh virtual environment with the wheels of the core and of the plugin, built here."""
    wheels, home = tmp_path_factory.mktemp("wheels"), tmp_path_factory.mktemp("home")
    for project in (ROOT, EXAMPLE):
        run(
            sys.executable,
            "-m",
            "hatchling",
            "build",
            "--target",
            "wheel",
            "--directory",
            str(wheels),
            cwd=project,
        )
    python = fresh_environment(tmp_path_factory.mktemp("env"))
    run(
        sys.executable, "-m", "pip", f"--python={python}", "install", "--quiet", "--no-deps", "--no-index",
        *map(str, sorted(wheels.glob("*.whl"))),
    )  # fmt: skip
    return lambda *arguments: call(python, home, *arguments)


def fresh_environment(folder: Path) -> Path:
    """An empty environment that sees this one's libraries, but not its editable installs."""
    run(sys.executable, "-m", "venv", "--without-pip", str(folder))
    scheme = sysconfig.get_path("purelib", vars={"base": str(folder)})
    (Path(scheme) / "libraries.pth").write_text(sysconfig.get_path("purelib") + "\n")
    return folder / "bin" / "python"


def run(*command: str, cwd: Path | None = None) -> None:
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
