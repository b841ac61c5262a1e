"""One run, from a composed config to a finished folder."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from omegaconf import DictConfig

    from xpo.stages.comparisons import Take


def run_job(config: DictConfig) -> dict[str, Any]:
    """What Hydra calls: validate, refuse or run; returns the final metrics.

    Raises ``UserError`` before a model is loaded if anything about the config is wrong.
    """
    from hydra.core.hydra_config import HydraConfig

    from xpo.compose import build, resolve

    composition = build(resolve(config))
    hydra = HydraConfig.get()
    return execute(composition, Path(hydra.runtime.output_dir), argv=list(hydra.overrides.task))


def execute(
    composition: Any, out: Path, argv: list[str] | None = None, take: Take | None = None
) -> dict[str, float]:
    """Run all stages that are not finished yet in the folder ``out``; the final metrics.

    ``take``: what becomes of the rows before they are trained on.
    """
    from xpo.run.anew import begin_anew
    from xpo.run.files import output_folder
    from xpo.run.ranks import rank
    from xpo.run.say import say
    from xpo.run.summary import read_summary
    from xpo.stages.belongs import check_same_run

    if composition.trainer.resume == "auto":
        check_same_run(composition.config, out)
    done = read_summary(out)
    if done is not None and done["status"] == "done" and composition.trainer.resume == "auto":
        say(f"finished already: {out} (choose another folder with hydra.run.dir=<folder>)")
        return done["metrics"]
    output_folder(out)
    output_folder(Path(composition.config["cache"]), "cache")
    composition.trainer.check_machine()
    if composition.trainer.resume == "never":
        begin_anew(out if rank() == 0 else out / f".rank-{rank()}", composition.config)
    from xpo.run.quiet import quiet_libraries

    quiet_libraries()
    from xpo.stages.run import run

    begin = time.monotonic()
    return run(composition, out, argv or [], begin, take)
