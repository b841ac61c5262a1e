"""Stage ``revision``: what a run imitates is made of answers that are criticised and revised first."""

from __future__ import annotations

import dataclasses
from pathlib import Path

from xpo.annotator.base import Desk
from xpo.compose.composition import Composition
from xpo.judge.demonstrations import demonstrations, reviser_of
from xpo.run.files import write_text
from xpo.run.ranks import rank
from xpo.run.say import say
from xpo.stages.setting import Setting

FILE = "revisions.jsonl"


def with_revisions(setting: Setting) -> Setting:
    """The setting whose data bring the revisions as demonstrations; they are made unless they are known."""
    if not setting.composition.revision.applies:
        return setting
    path = setting.checkpoints.parent / FILE  # where other ranks find it, too
    with setting.manifest.stage("revision"):
        if rank() == 0:
            _write(setting, path)
    return dataclasses.replace(setting, composition=_imitating(setting.composition, path))


def _write(setting: Setting, path: Path) -> None:
    c = setting.composition
    annotator, records = reviser_of(c), c.data.read().train
    assert annotator is not None, "a rule refuses it"
    made = demonstrations(annotator, c.data, records, Desk(setting.cache, setting.out), c.revision.request)
    write_text(path, "".join(f"{line}\n" for line in made.lines))
    say(made.told(path))


def _imitating(c: Composition, path: Path) -> Composition:
    """In the config too: a reward model that is trained first begins with the same fine-tuning."""
    config = {**c.config, "data": {**c.config["data"], "demonstrations": str(path)}}
    data = dataclasses.replace(c.data, demonstrations=str(path))
    return dataclasses.replace(c, data=data, config=config)
