"""What every stage of a run is given."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from xpo.compose.composition import Composition
from xpo.run.log import MetricLog
from xpo.run.manifest import Manifest


@dataclass(frozen=True)
class Setting:
    """One run: what was composed, where it leaves its files, and what it may reuse from other runs.

    ``out`` is this rank's own folder, ``checkpoints`` one for all ranks.
    """

    composition: Composition
    out: Path
    cache: Path
    manifest: Manifest
    log: MetricLog
    checkpoints: Path
