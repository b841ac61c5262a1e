"""What every stage of a run is given."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from xpo.compose.composition import Composition
from xpo.run.log import MetricLog
from xpo.run.manifest import Manifest
from xpo.stages.source import Rows


@dataclass(frozen=True)
class Setting:
    """One run: what was composed, where it leaves its files, and what it may reuse from other runs.

    ``out`` is this rank's own folder, ``checkpoints`` one for all ranks. ``first``: the composition as it was
    before a reward model was trained for it. ``take``: what becomes of the rows before they are trained on.
    """

    composition: Composition
    out: Path
    cache: Path
    manifest: Manifest
    log: MetricLog
    checkpoints: Path
    first: Composition | None = None
    take: Callable[[Rows], Rows] | None = None
