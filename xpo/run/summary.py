"""``summary.json``: how a run ended, under names that stay the same from version to version."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from xpo.run.files import plain, read_json, write_json

Status = Literal["done", "refused", "failed", "interrupted", "waiting"]


def write_summary(
    directory: Path,
    status: Status,
    metrics: Mapping[str, float],
    seconds: float,
    **about: Any,
) -> Path:
    """Write ``{status, seconds, metrics, **about}``; a metric that is not finite is null.

    ``about`` is whatever identifies the run to a reader of many: algo, axes, seed, stages, paths.
    """
    finite = {name: value if math.isfinite(value) else None for name, value in metrics.items()}
    body = {"status": status, "seconds": round(seconds, 3), "metrics": finite, **plain(about)}
    return write_json(directory / "summary.json", body)


def read_summary(directory: Path) -> dict[str, Any] | None:
    """The summary of a run's folder; None where the run has not ended."""
    path = directory / "summary.json"
    return read_json(path) if path.is_file() else None
