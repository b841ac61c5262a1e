"""``manifest.json``: what a run was made of, so that two runs can be told apart or shown to be the same."""

from __future__ import annotations

import contextlib
import hashlib
import platform
import subprocess
import time
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from xpo.run.files import output_folder, read_json, write_json

PACKAGES = ("torch", "lightning", "transformers", "tokenizers", "peft", "datasets", "hydra-core", "numpy")

FACTS = frozenset(
    {
        "argv",  # the command line
        "axes",  # the 13 values
        "formula",  # the composed objective as text
        "hashes",  # data, tokenizer, template, reference, initial_weights: sha256
        "scoring",  # {"path": ..., "reason": ...}: how log-probabilities were computed
        "dropped_rows",  # rows left out, by reason
        "rows",  # rows kept, by split
        "seeds",
        "rollouts",  # how often prompts were drawn again, and rollouts that stayed short of others
        "weighting",  # what rows were given as weights before training
        "sizes",  # parameters, trainable parameters, steps, micro-batches, ranks
    }
)


class Manifest:
    """The manifest of one run, rewritten whole whenever a fact is recorded.

    Opened in a folder that has one (a resumed run), it keeps what stands there.
    """

    def __init__(self, directory: Path) -> None:
        self.path = output_folder(directory) / "manifest.json"
        self._facts: dict[str, Any] = read_json(self.path) if self.path.is_file() else {}
        self._facts.setdefault("started", _now())
        self._facts |= environment()
        self._facts.setdefault("stages", [])
        self._write()

    def record(self, **facts: Any) -> None:
        """Record facts out of ``FACTS``; mappings are merged into what is recorded already."""
        unknown = set(facts) - FACTS
        if unknown:
            raise ValueError(f"a manifest has no {sorted(unknown)}; it has {sorted(FACTS)}")
        for name, value in facts.items():
            merge = isinstance(value, Mapping)
            self._facts[name] = {**self._facts.get(name, {}), **value} if merge else value
        self._write()

    @contextlib.contextmanager
    def stage(self, name: str, **about: Any) -> Iterator[dict[str, Any]]:
        """Time a stage: ``done`` or ``failed``, its seconds, and what is put into the yielded mapping."""
        entry: dict[str, Any] = {"name": name, "status": "running", "started": _now(), **about}
        self._facts["stages"].append(entry)
        self._write()
        begin = time.monotonic()
        try:
            yield entry
            entry["status"] = "done"
        except BaseException as error:
            entry["status"] = "failed"
            entry["error"] = f"{type(error).__name__}: {error}"
            raise
        finally:
            entry["seconds"] = round(time.monotonic() - begin, 3)
            self._write()

    def skip(self, name: str, reason: str) -> None:
        """Record a stage that did not run, and why."""
        self._facts["stages"].append({"name": name, "status": "skipped", "reason": reason})
        self._write()

    def _write(self) -> None:
        write_json(self.path, self._facts)


def write_manifest(directory: Path, **facts: Any) -> Path:
    """Record facts in the folder's manifest in one go; see ``FACTS`` for what there is."""
    manifest = Manifest(directory)
    manifest.record(**facts)
    return manifest.path


def environment() -> dict[str, Any]:
    """Versions of xpo, Python and packages, the platform, and the commit where xpo runs from a git tree."""
    return {
        "xpo": _version("xpo"),
        "git": _git_commit(),
        "python": platform.python_version(),
        "platform": platform.platform(),
        "packages": versions(),
    }


def versions() -> dict[str, str | None]:
    """Installed versions of the packages that decide numbers; None where one is missing."""
    return {name: _version(name) for name in PACKAGES}


def hash_text(*texts: str) -> str:
    """Sha256 of texts; their boundaries count."""
    digest = hashlib.sha256()
    for text in texts:
        raw = text.encode()
        digest.update(len(raw).to_bytes(8, "little") + raw)
    return digest.hexdigest()


def hash_tokenizer(tokenizer: Any) -> str:
    """Sha256 of a fast tokenizer's full definition, its special tokens included."""
    return hash_text(tokenizer.backend_tokenizer.to_str(), str(tokenizer.special_tokens_map))


def hash_template(tokenizer: Any) -> str | None:
    """Sha256 of a tokenizer's chat template; None where it has none."""
    template = tokenizer.chat_template
    return None if template is None else hash_text(str(template))


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _git_commit() -> str | None:
    """The commit of the source tree, ``+changes`` where it is not clean; None outside of one."""
    root = Path(__file__).resolve().parents[2]
    if not (root / ".git").exists():
        return None
    try:
        commit = _git(root, "rev-parse", "HEAD")
        changed = _git(root, "status", "--porcelain", "--untracked-files=no")
    except (OSError, subprocess.SubprocessError):
        return None
    return f"{commit}+changes" if changed else commit


def _git(root: Path, *args: str) -> str:
    command = ["git", "-C", str(root), *args]
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=5).stdout.strip()
