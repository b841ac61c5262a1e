"""The rounds of a schedule: one alignment after another."""

from __future__ import annotations

import dataclasses
import math
import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import nn

from xpo.contracts import Batch, Row, masked
from xpo.data.loader import EvalLoader
from xpo.errors import UserError
from xpo.reference.prepared import Prepared
from xpo.run.checkpoints import lean_names
from xpo.run.files import output_folder
from xpo.run.ranks import rank
from xpo.run.say import say
from xpo.run.state import load_state, round_fix
from xpo.run.training_log import total_norm
from xpo.scoring.parts import evaluating
from xpo.stages.align import align, diverged, make_reference
from xpo.stages.alignment import Alignment, Turn
from xpo.stages.history import History

Train = Callable[[Alignment], dict[str, float]]


def align_in_rounds(alignment: Alignment, train: Train | None = None) -> dict[str, float]:
    """All rounds that are not finished yet, each from the last one's policy; the result's metrics.

    ``train`` is what a round does; None: ``align``.
    """
    schedule, train = alignment.setting.composition.schedule, train or align
    if schedule.rounds == 1:
        draws = _draws(alignment)
        return train(_renewed(alignment, 1, make_reference(alignment, lasting=True) if draws else None))
    chunks = [] if alignment.renew is not None else _chunks(alignment)
    option = alignment.setting.composition.reference
    lasting = None if option.renewed else make_reference(alignment, lasting=True)
    start = _kept(alignment) if schedule.restarts else {}
    done = _resume(alignment, lasting)
    history = History(alignment.setting.checkpoints / "rounds.json", done, schedule.keep_best)
    for number in range(done + 1, schedule.rounds + 1):
        here = dataclasses.replace(alignment, turn=Turn(number, schedule.rounds), reference=lasting)
        if lasting is None and (start or _draws(alignment)):  # of the policy as the round before left it
            here = dataclasses.replace(here, reference=make_reference(alignment, lasting=True))
        if alignment.between is not None:
            here = alignment.between.begin(here, number)
        here = _renewed(here, number, here.reference)
        if chunks:
            here = dataclasses.replace(here, rows=dataclasses.replace(here.rows, train=chunks[number - 1]))
        rows = f": {len(here.rows.train)} rows" if here.rows.train else ""
        say(f"round {number} of {schedule.rounds}{rows}")
        _put(alignment, start)
        metrics = train(_slower(here, schedule.lr_decay ** (number - 1)))
        _check_finite(alignment, lasting, number)
        history.add(metrics | _marked(alignment, number))
        if number < schedule.rounds:
            _save(alignment, lasting, number)
        history.check()
    return _chosen(alignment, history, lasting)


def _marked(alignment: Alignment, number: int) -> dict[str, float]:
    """What the policies at the ends of rounds come to together, where that is known."""
    found = {} if alignment.between is None else alignment.between.end(number)
    if alignment.measure is not None and alignment.head is None:
        path = output_folder(alignment.setting.checkpoints) / "average.safetensors"
        found = {**found, **alignment.measure.mark(alignment.policy.model, path, number)}
    if found:
        alignment.setting.log.log(found, 0, f"rounds-{number}")
    return found


def _check_finite(alignment: Alignment, reference: Prepared | None, number: int) -> None:
    """``UserError`` for weights that no forward pass can multiply: nothing is kept of such a round."""
    for name, part in _parts(alignment, reference).items():
        norm = float(total_norm([weight.detach() for weight in part.parameters() if weight.requires_grad]))
        if not math.isfinite(norm):
            raise diverged(number, f"the weights of its {name} have norm {norm}")


def _draws(alignment: Alignment) -> bool:
    """Whether the reference draws responses, or has a part in it."""
    sampling = alignment.setting.composition.sampling
    return bool(sampling.weight or sampling.mix)


def _slower(alignment: Alignment, factor: float) -> Alignment:
    """With so much of the learning rate."""
    setting, c = alignment.setting, alignment.setting.composition
    optimizer = dataclasses.replace(c.optimizer, lr=c.optimizer.lr * factor)
    changed = dataclasses.replace(setting, composition=dataclasses.replace(c, optimizer=optimizer))
    return dataclasses.replace(alignment, setting=changed)


def _chosen(alignment: Alignment, history: History, reference: Prepared | None) -> dict[str, float]:
    """The metrics of the run's result, whose weights the policy has then."""
    schedule, best = alignment.setting.composition.schedule, history.best()
    if schedule.keep_best is not None:
        say(f"the result is round {best} of {schedule.rounds}, by {schedule.keep_best}")
    if best < schedule.rounds:
        _load(_path(alignment, best), best, _parts(alignment, reference))
    return history.rounds[best - 1]


def _kept(alignment: Alignment) -> dict[str, dict[str, torch.Tensor]]:
    """Copies of all weights that a round changes, as they are now."""
    parts = _parts(alignment, None)
    return {name: {k: v.detach().clone() for k, v in _trained(part).items()} for name, part in parts.items()}


def _put(alignment: Alignment, weights: Mapping[str, dict[str, torch.Tensor]]) -> None:
    for name, part in _parts(alignment, None).items():
        if name in weights:
            part.load_state_dict(weights[name], strict=False)


def _renewed(alignment: Alignment, number: int, reference: Prepared | None) -> Alignment:
    """With rows that are sampled now, where rows are sampled."""
    if alignment.renew is None:
        return alignment
    return dataclasses.replace(alignment, rows=alignment.renew(number, reference))


def _chunks(alignment: Alignment) -> list[Sequence[Row]]:
    """The rows of each round."""
    schedule, rows = alignment.setting.composition.schedule, alignment.rows.train
    if not schedule.chunks:
        return [rows] * schedule.rounds
    if schedule.by_difficulty:
        ease = _ease(alignment)
        rows = [rows[i] for i in sorted(range(len(rows)), key=lambda i: (-ease[i], i))]
    size, count = len(rows), schedule.rounds
    if size < count:
        raise UserError(f"{size} rows cannot be cut into {count} rounds: lower schedule.rounds")
    return [rows[size * n // count : size * (n + 1) // count] for n in range(count)]


@torch.no_grad()
def _ease(alignment: Alignment) -> list[float]:
    """How much likelier the policy finds what is preferred (or good) in each row, in nats."""
    model, scoring, rows = alignment.policy.model, alignment.policy.scoring, alignment.rows.train
    found = [0.0] * len(rows)
    with evaluating(model):
        for batch in EvalLoader(rows, alignment.sizes, alignment.collator()):
            batch = batch.to(next(model.parameters()).device)
            logp_BK = masked(scoring(model, batch), batch.mask_BKT).sum(-1)
            for index, value in zip(batch.index_B.tolist(), (_lead_BK(batch) * logp_BK).sum(1), strict=True):
                if index >= 0:
                    found[index] = float(value)
    return found


def _lead_BK(batch: Batch) -> torch.Tensor:
    """How much more mass says that a response is better than that it is worse."""
    if batch.prefer_BKK is not None:
        return batch.prefer_BKK.sum(2) - batch.prefer_BKK.sum(1)
    if batch.good_BK is not None and batch.bad_BK is not None:
        return batch.good_BK - batch.bad_BK
    return batch.share_BK


def _path(alignment: Alignment, number: int) -> Path:
    return alignment.setting.checkpoints / f"round-{number:03d}.pt"


def _parts(alignment: Alignment, reference: Prepared | None) -> dict[str, nn.Module]:
    """Everything that a round changes and the next one begins with."""
    parts: dict[str, nn.Module] = {"policy": alignment.policy.model}
    if alignment.critic is not None:
        parts["critic"] = alignment.critic
    if alignment.head is not None:
        parts["head"] = alignment.head
    if reference is not None and reference.moving is not None:
        parts["reference"] = reference.moving
    return parts


def _save(alignment: Alignment, reference: Prepared | None, number: int) -> None:
    """What was trained, after a round: where the next one begins, also in another process."""
    if rank() != 0:
        return
    path = _path(alignment, number)
    output_folder(path.parent)
    partial = path.with_suffix(".partial")
    torch.save({name: _trained(part) for name, part in _parts(alignment, reference).items()}, partial)
    os.replace(partial, path)


def _trained(part: nn.Module) -> dict[str, torch.Tensor]:
    names = lean_names(part)
    return {name: value for name, value in part.state_dict().items() if name in names}


def _resume(alignment: Alignment, reference: Prepared | None) -> int:
    """The last finished round, its weights loaded; 0 if there is none or the run begins anew."""
    c = alignment.setting.composition
    saved = [_path(alignment, n) for n in range(1, c.schedule.rounds)]
    if c.trainer.resume != "auto":
        return 0
    done = max((n for n, path in enumerate(saved, 1) if path.is_file()), default=0)
    if done:
        say(f"rounds 1 to {done} are finished: going on from {saved[done - 1].name}")
        _load(saved[done - 1], done, _parts(alignment, reference))
    return done


def _load(path: Path, number: int, parts: dict[str, nn.Module]) -> None:
    """``OutputError`` for a file that does not hold what the round left."""

    def put(saved: Any) -> None:
        for name, part in parts.items():
            missing = _trained(part).keys() - saved[name].keys()
            if missing:
                raise KeyError(f"{sorted(missing)[0]} of {name} is missing")
            part.load_state_dict(saved[name], strict=False)

    load_state(path, round_fix(number), put)
