"""Stage ``sft_branch``, beside the alignment and from the same weights, and stage ``merge`` after both."""

from __future__ import annotations

import copy
import dataclasses
import os
import shutil
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from xpo.contracts import Row
from xpo.errors import UserError
from xpo.merge.delta import Parts, Start, add_deltas, merge, prune, put_weights, trained_weights
from xpo.merge.tally import Tally
from xpo.model.loaded import fingerprint
from xpo.module.sparse import SparseModule
from xpo.run.ranks import rank
from xpo.run.say import say, shown
from xpo.stages.setting import Setting
from xpo.stages.sft import imitate, recipe_key
from xpo.stages.source import Policy, Rows, Source

STAGE = "sft_branch"


@dataclass
class Branch:
    """The finished supervised branch: the weights that it began from and those that it ended with.

    ``deltas``: the merge with the aligned branch, once it is made.
    """

    setting: Setting
    start: Start
    trained: Mapping[str, Tensor]
    deltas: Mapping[str, Tensor] = field(default_factory=dict)

    def measure(
        self, model: Any, evaluate: Callable[[Any], Mapping[str, float]], step: int
    ) -> dict[str, float]:
        """Merge both branches; the metrics of the merged model, which is a copy."""
        setting, c = self.setting, self.setting.composition
        with setting.manifest.stage("merge") as entry:
            tally = Tally(c.sft.threshold)
            model.zero_grad(set_to_none=True)
            pairs = self._pairs(model, c.adapter.parts(model), tally)
            self.deltas = merge(pairs, c.sft.merge, c.sft.settings, c.seed)
            entry |= tally.metrics()
            merged = copy.deepcopy(model)
            self.settle(merged)
            metrics = dict(evaluate(merged))
        setting.log.log({**metrics, **tally.metrics()}, step, "merge")
        return metrics

    def settle(self, model: Any) -> None:
        """Make the model the base of both branches + the merge."""
        put_weights(model, self.start.trained)
        add_deltas(self.setting.composition.adapter.parts(model), self.deltas)

    def _pairs(self, model: Any, parts: Parts, tally: Tally) -> Iterator[tuple[str, Tensor, Tensor]]:
        """(name, pruned SFT delta, alignment's delta) of every part."""
        aligned = trained_weights(model)
        put_weights(model, self.trained)
        supervised = {name: self.start.delta(name, part) for name, part in parts.items()}
        put_weights(model, aligned)
        for name in sorted(parts):
            sft, align = supervised.pop(name), self.start.delta(name, parts[name])
            tally.add(sft, align)
            yield name, prune(sft, self.setting.composition.sft.threshold), align


def run_branch(setting: Setting, source: Source, policy: Policy, rows: Rows) -> Branch:
    """Train the supervised branch, or load the cached result of the same recipe.

    ``policy`` holds the base of both branches, and holds it again afterwards. ``rows`` are the alignment's:
    they say what to imitate where the data have no demonstrations of their own.
    """
    c, model = setting.composition, policy.model
    sampled = setting.composition.sampling.samples  # what is aligned on is not there yet
    rows = source.demonstrations() if source.demonstrations_given or sampled else demonstrated(rows)
    counted = [(row.skip, row.weight) for row in rows.train]
    key = recipe_key(setting, rows, fingerprint(model), c.adapter, c.sft.l1, counted)
    path = setting.cache / "sft" / f"{key}.branch.safetensors"
    parts = c.adapter.parts(model)
    start = Start.of(model, parts)
    with setting.manifest.stage(STAGE, weights=str(path)) as entry:
        if path.is_file() and _load(path, model):
            say(f"the supervised branch is done already: its weights come from {shown(path)}")
            entry["training_seconds"] = 0.0
        else:
            put_weights(model, start.trained)
            values = {name: part.value for name, part in parts.items()}
            make = partial(SparseModule, values=values, start=start.values, weight=c.sft.l1)
            with torch.random.fork_rng():  # the alignment draws the same whether this was trained or cached
                entry["training_seconds"] = imitate(setting, rows, policy, STAGE, make)
            if rank() == 0:
                _save(path, model)
                shutil.rmtree(setting.checkpoints / STAGE, ignore_errors=True)
        branch = Branch(setting, start, trained_weights(model))
        put_weights(model, start.trained)
    return branch


def demonstrated(rows: Rows) -> Rows:
    """What rows of an alignment say to imitate, and nothing else of them."""
    kept = [shown for row in rows.train for shown in _shown(row)]
    if not kept:
        raise UserError(
            "sft=parallel: no row of train demonstrates anything; give demonstrations of their own "
            "(data.demonstrations), or sft=none"
        )
    return dataclasses.replace(rows, train=kept, test=(), probes=None)


def _shown(row: Row) -> list[Row]:
    masses = row.demo or ()
    chosen = [k for k, mass in enumerate(masses) if mass > 0]
    if not chosen:
        return []
    responses, demo = [row.responses[k] for k in chosen], [masses[k] for k in chosen]
    return [
        Row(row.prompt, responses, demo=demo, skip=row.skip, weight=row.weight, source=row.source),
    ]


def _save(path: Path, model: Any) -> None:
    from safetensors.torch import save_file

    path.parent.mkdir(parents=True, exist_ok=True)
    partial_file = path.with_suffix(f".{os.getpid()}.partial")
    save_file(trained_weights(model), str(partial_file), metadata={"fingerprint": fingerprint(model)})
    os.replace(partial_file, path)


def _load(path: Path, model: Any) -> bool:
    """Load what was trained; False if the file is damaged, and then the model may hold some of it."""
    from safetensors import SafetensorError, safe_open
    from safetensors.torch import load_file

    try:
        with safe_open(str(path), "pt") as file:
            expected = (file.metadata() or {}).get("fingerprint")
        put_weights(model, load_file(str(path)))
    except (SafetensorError, OSError, KeyError, RuntimeError):
        return False
    return fingerprint(model) == expected
