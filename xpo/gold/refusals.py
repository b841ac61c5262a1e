"""Why the gold world's rows would not read what their labeller is told, and what would be read."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

from xpo.compose.asked import asked
from xpo.contracts import FEEDBACK

Refusal = tuple[str, tuple[str, ...]]
"""The reason, and settings that work."""

_SHAPE = frozenset({"noise", "length_bias", "scale"})  # of what is said of one response
_PAIRED = _SHAPE | {"ties", "intransitivity"}
_DEFAULTS = {"scale": 1, "exact": "false"}  # of the others: 0


def labels_refusal(parts: Any, drawn: bool, size: int | None) -> Refusal | None:
    """``drawn``: labels are draws; ``size``: responses of a drawn record, None for whole populations."""
    if parts.reward.trains_head and not drawn and size is None:
        unread = _of_heads(parts)
        if unread is not None:
            return unread, ("data.mode=sampled",)
    labelled = parts.feedback.gives & {"comparisons", "labels", "scores"} and not parts.feedback.contrasts
    if parts.annotator.label_model is None:
        return _of_others(parts, bool(labelled), drawn, size)
    if not labelled:
        return nobody_labels(parts)
    told = told_of(parts)
    read = _read(parts, drawn, size)
    what = ", ".join(sorted(needs_of(parts)))
    unread = unread_refusal(
        f"{{}} not read: {parts.choice('feedback')} with {parts.choice('objective')} takes "
        f"{what} from {'drawn records' if drawn else 'exact expectations'}.",
        {name: default for name, default in told.items() if name not in read},
    )
    return unread or _of_pairs(parts, drawn, size)


def nobody_labels(parts: Any) -> Refusal | None:
    """Where nobody is asked, whatever the world's own labeller is told."""
    return unread_refusal(f"nobody labels with {parts.choice('feedback')}, so {{}} not read.", told_of(parts))


def pairs_refusal(parts: Any, drawn: bool, size: int) -> Refusal | None:
    """What says which pairs are made of several responses, where all of them train, or there are two."""
    keys = [field.name for field in fields(parts.arity)] if not drawn else parts.arity.of_several
    changes = asked(parts, "arity", *keys) if not drawn or size < 3 else ()
    if not changes:
        return None
    told = " and ".join(change.partition("=")[0] for change in changes)
    why = "drawn records have two responses (data.responses)" if drawn else "all responses train"
    return f"{told} would change nothing: with data.mode={parts.data.mode} {why}.", changes


def _of_heads(parts: Any) -> str | None:
    """Of a whole population there is one row for each prompt, with every response in it."""
    if parts.reward.members > 1:
        return (
            f"reward.members={parts.reward.members} learn a random half of the rows each, and "
            "data.mode=population has one row for each prompt."
        )
    if parts.reward.together:
        return (
            "reward.reading=together reads every pair of a row, and data.mode=population has every response "
            "of a prompt in one."
        )
    return None


def told_of(parts: Any) -> dict[str, Any]:
    """Settings of the world's own labeller that are not the defaults, with these."""
    told = dict.fromkeys(parts.annotator.label_model.changed(), 0)
    if parts.annotator.seed:
        told["seed"] = 0
    return {name: _DEFAULTS.get(name, default) for name, default in told.items()}


def unread_refusal(text: str, told: dict[str, Any]) -> Refusal | None:
    if not told:
        return None
    names = " and ".join(f"annotator.{name}" for name in told) + (" is" if len(told) == 1 else " are")
    return text.format(names), tuple(f"annotator.{name}={default}" for name, default in told.items())


def needs_of(parts: Any) -> frozenset[str]:
    """The feedback that is read of rows; a scorer's labels take the place of comparisons."""
    components = (parts.objective, parts.sft, parts.margin, parts.anchor, parts.weighting)
    needs = frozenset().union(*(component.needs for component in components))
    if parts.reward.relabels and "comparisons" in needs and not parts.objective.hard_labels:
        needs = (needs - {"comparisons"}) | {parts.reward_form.reads}
    return needs & FEEDBACK


def _read(parts: Any, drawn: bool, size: int | None) -> frozenset[str]:
    """Settings of the world's own labeller that change what is read."""
    pairs = "comparisons" in parts.feedback.gives
    sides = _PAIRED if pairs else _SHAPE
    found = {
        "comparisons": _PAIRED,
        "wins": _PAIRED,
        "labels": _PAIRED if parts.feedback.labels_from_pairs else _SHAPE,
        "demonstrations": sides if drawn else _PAIRED,
        "scores": (_PAIRED if pairs else _SHAPE) if drawn else frozenset({"noise", "length_bias"}),
        "margins": frozenset({"length_bias", "intransitivity"}),
    }
    read = frozenset().union(*(found[need] for need in needs_of(parts)))
    if drawn and parts.annotator.label_model.exact:
        return _read_exactly(parts) | {"exact"}
    read -= {"ties", "intransitivity"} if size == 1 else set()
    return read | {"seed", "exact"} if drawn else read


def _read_exactly(parts: Any) -> frozenset[str]:
    """Where records have what is likeliest: an order is that of utilities, whatever the probability."""
    order, needs = frozenset({"length_bias"}), needs_of(parts)
    soft = parts.feedback.soft_masses and "comparisons" in needs
    cyclic = {"intransitivity"} if "margins" in needs else set()
    return order | cyclic | (_PAIRED if soft or "wins" in needs else set())


def _of_pairs(parts: Any, drawn: bool, size: int | None) -> Refusal | None:
    model, feedback = parts.annotator.label_model, parts.feedback
    if drawn and size is not None and size > 2 and not model.orders and not feedback.soft_masses:
        told = " and ".join(f"annotator.{n}" for n in ("ties", "intransitivity") if n in model.changed())
        text = f"{told} are of pairs: no drawn order of {size} responses has such comparisons."
        return text, ("data.responses=2",)
    if feedback.splits_ties and not model.ties:
        text = (
            "the gold world's labeller says no ties (annotator.ties=0): feedback.ties would change nothing "
            f"with {parts.choice('sampling')}."
        )
        return text, ("feedback.ties=drop",)
    if "labels" in needs_of(parts) & feedback.gives and not (
        drawn or feedback.labels_from_pairs or size is None
    ):
        text = "drawn lists with exact feedback have the two sides of comparisons as labels, no others."
        return text, ("data.mode=sampled",)
    if feedback.soft_masses and not drawn:
        text = "data.mode=population has the exact probability of every label: feedback.soft changes nothing."
        return text, ("data.mode=sampled",)
    return None


def _of_others(parts: Any, labelled: bool, drawn: bool, size: int | None) -> Refusal | None:
    choice = parts.choice("annotator")
    if not labelled:
        text = f"nobody labels with {parts.choice('feedback')}, so {choice} is not read."
        return text, ("annotator=gold",)
    if parts.annotator.quadratic and not drawn and size is None:
        text = f"{choice} is asked about every pair, and data.mode=population has every response of a prompt."
        return text, ("data.mode=sampled",)
    return None
