"""What samples for held-out prompts are like."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from xpo.on_policy.answered import Answered
from xpo.on_policy.collect import Collector


def held_out_samples(collector: Collector) -> dict[str, float]:
    """One sample for each held-out prompt: its length, whether it ends, and what it is worth.

    That is said of single ones: among samples of one policy half of all comparisons is won.
    """
    parts = collector.parts
    prompts = collector.prompts.test[: parts.eval.rows]
    if not prompts:
        return {}
    if _compares(parts):
        drawn = collector.drawn(prompts, "held out", 1)
        return _ends([row[0] for row in drawn.responses], [row[0] for row in drawn.finished])
    answers = collector.answers(prompts, "held out", 1, alone=True)
    collector.clock.take()
    ends = _ends([answer.responses[0] for answer in answers], [answer.finished[0] for answer in answers])
    worth = [_worth(answer, parts.objective.policy_gradient) for answer in answers]
    found = [value for value in worth if value is not None]
    return {"eval/sample_score": sum(found) / len(found), **ends} if found else ends


def _worth(answer: Answered, graded: bool) -> float | None:
    if graded:
        return answer.values[0]
    return None if answer.record.scores is None else answer.record.scores[0]


def _compares(parts: Any) -> bool:
    """Whether a sample is worth something beside others only, or nobody says for nothing what it is worth."""
    return bool(
        parts.feedback.contrasts
        or parts.annotator.compares
        or parts.annotator.quadratic
        or parts.annotator.bought
        or (
            parts.objective.policy_gradient
            and (parts.reward_form.reads == "wins" or parts.feedback.on_policy == "comparisons")
        )
    )


def _ends(responses: Sequence[Sequence[int]], finished: Sequence[bool]) -> dict[str, float]:
    return {
        "eval/sample_length": sum(map(len, responses)) / len(responses),
        "eval/sample_finished": sum(finished) / len(finished),
    }
