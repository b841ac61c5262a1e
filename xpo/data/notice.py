"""What rows are silent about: labels of one class, steps that nobody labelled, nothing to imitate."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from xpo.annotator.base import Labeller
from xpo.contracts import Row
from xpo.data.errors import DataError
from xpo.data.record import Record


def one_class(train: Sequence[Row], test: Sequence[Row]) -> Iterator[str]:
    """A line for each split whose labels are all good, or all bad."""
    what = {
        "train": (train, "nothing is learnt of the others"),
        "test": (
            test,
            "accuracy on them says nothing (data.test_path, or another data.split_seed, may help)",
        ),
    }
    for split, (rows, so) in what.items():
        good, bad = (sum(sum(row.__dict__[side] or ()) for row in rows) for side in ("good", "bad"))
        if (good == 0) != (bad == 0):
            yield f"note: all labels of {split} are {'good' if good else 'bad'}: {so}"


def check_steps(records: Sequence[Record], parts: Any) -> None:
    """``DataError`` where labels of steps are learnt, and a row says which whole response is better.

    Comparisons of single steps train log-ratios or a head by an objective of comparisons; a labelled response
    may be one step.
    """
    level = parts.reward_level
    if level.ends or level.by_spans or not parts.reward.trains_head:
        return
    if "labels" not in parts.objective.needs or "comparisons" in parts.objective.needs:
        return
    for record in records:
        if record.steps is None and record.labels is None and len(record.responses) > 1:
            raise DataError(
                f"{record.where}: {parts.choice('reward_level')} with {parts.choice('objective')} needs rows "
                "whose steps have labels, and this one compares whole responses: give completions (the steps "
                "of one solution) with labels (true or false for each), or completion with steps. "
                "Comparisons train algo=reward_bt, with reward_level=step where they are of single next steps"
            )


def nothing_to_imitate(records: Sequence[Record], parts: Any) -> str:
    """Why none of labelled records has a response to imitate; empty where that is not for its label."""
    if any(record.labels is None or any(record.labels) for record in records):
        return ""
    cut = parts.annotator.cut if isinstance(parts.annotator, Labeller) else ""
    moved = f" (annotator.{cut}={parts.annotator.__dict__[cut]} says from where on)" if cut else ""
    return f"{parts.choice('annotator')} calls every response of the {len(records)} training rows bad{moved}"


def no_labels_yet(records: Sequence[Record], parts: Any) -> None:
    """``DataError`` where a stage before the annotator's turn would have to know which response is best."""
    open_one = next((r for r in records if len(r.responses) > 1 and not r.labelled), None)
    if open_one is None or not parts.annotator.needs_policy:
        return
    raise DataError(
        f"{open_one.where}: {parts.choice('annotator')} asks the policy, so it labels only after the sft "
        f"stage, which cannot know which of the {len(open_one.responses)} responses to imitate. Give a "
        "trained model (model=hf model.path=<folder>), demonstrations (data.demonstrations=<file>), or set "
        "sft=none"
    )
