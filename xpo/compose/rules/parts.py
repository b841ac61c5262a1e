"""Rules about responses that are taken apart: who labels the parts, and how many stand in a row."""

from __future__ import annotations

from xpo.compose.composition import Composition
from xpo.compose.rules.reason import Reason, Rule
from xpo.written import reset


def _spans_are_there(c: Composition) -> Reason | None:
    if not c.reward_level.by_spans:
        return None
    if "spans" not in c.data.provides:
        return Reason(
            f"{c.choice('reward_level')} takes labels from spans of errors, and {c.choice('data')} has none.",
            ("data", "reward_level"),
        )
    own = "margins" in c.annotator.gives and "labels" in c.annotator.needs  # the labels that data bring
    if not own and c.annotator.label_model is None:
        return Reason(
            f"{c.choice('reward_level')} takes labels from spans of errors in the data, and "
            f"{c.choice('annotator')} labels whole responses.",
            ("annotator", "reward_level"),
        )
    return None


def _labels_of_parts_are_read(c: Composition) -> Reason | None:
    alone = "labels" in c.feedback.gives and "comparisons" not in c.feedback.gives
    if not c.reward_level.labels_parts or alone:
        return None
    # of steps too much may be set; segments have labels and nothing else
    fix = () if c.reward_level.by_spans else tuple(reset("reward_level", c.reward_level))
    return Reason(
        f"{c.choice('reward_level')}, as it is set, is about labels of parts, good or bad, and "
        f"{c.choice('feedback')} does not take labels alone: it gives {', '.join(sorted(c.feedback.gives))}.",
        ("feedback", "reward_level"),
        fix,
    )


def _segments_stand_together(c: Composition) -> Reason | None:
    """A head reads all segments of an answer at once; log-ratios of each are of a row of its own."""
    low, high = c.arity.sizes
    if c.reward_level.by_spans and c.reward.trains_head and high is not None:
        return Reason(
            f"With {c.choice('reward_level')} {c.choice('reward')} reads all segments of an answer in one "
            f"row, and {c.choice('arity')} takes {high} of them.",
            ("arity", "reward"),
        )
    if not c.reward_level.by_spans or c.reward.trains_head or low == 1:
        return None
    return Reason(
        f"With {c.choice('reward_level')} and {c.choice('reward')} each segment is a response to what stands "
        "before it, and "
        f"{c.choice('arity')} takes several responses to one prompt.",
        ("arity", "reward"),
    )


RULES: tuple[Rule, ...] = (_spans_are_there, _labels_of_parts_are_read, _segments_stand_together)
