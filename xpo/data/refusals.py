"""Why a composition would not read what a file's settings say."""

from __future__ import annotations

from typing import Any

from xpo.arrows import arrow_of
from xpo.written import written

Refusal = tuple[str, tuple[str, ...]]
"""The reason, and settings that work."""


def refusal(option: Any, parts: Any) -> Refusal | None:
    """Files fit any composition as far as can be known before they are read; unread settings do not."""
    samples = parts.sampling.samples
    if option.format == "prompts" and not samples:
        text = f"data.format=prompts reads no responses, and {parts.choice('sampling')} trains on given ones."
        return text, ("data.format=auto",)
    if option.format == "prompts" and parts.sampling.given != "none":
        text = f"data.format=prompts reads no responses, and sampling.given={parts.sampling.given} takes one."
        return text, ("data.format=auto",)
    if option.standardise_scores and (samples or "scores" not in arrow_of(parts).needs):
        why = "draws new responses" if samples else "reads no scores"
        who = parts.choice("sampling" if samples else "objective")
        return f"data.standardise_scores is not read: {who} {why}.", ("data.standardise_scores=false",)
    first = parts.annotator.first  # the same data train a reward model, in a run with rules of its own
    if option.pretraining is not None and not parts.pretraining.applies and not first:
        nobody = f"{parts.choice('pretraining')}, and {parts.choice('annotator')} trains no model first"
        text = f"data.pretraining={option.pretraining} is not read: {nobody} that would."
        return text, ("data.pretraining=null",)
    return _of_lengths(option, parts) if samples else None


def _of_lengths(option: Any, parts: Any) -> Refusal | None:
    """Limits of given responses, where none is trained on: nobody imitates one, or learns a reward of it."""
    sft, beside = parts.sft, parts.sft.merges and parts.objective.policy_gradient
    if sft.stage or sft.parallel or beside or parts.annotator.first:
        return None
    for key, unset in {"on_long_row": "truncate", "max_response_length": None}.items():
        value = vars(option)[key]
        if value != unset:
            text = (
                f"data.{key}={value} is not read: it is of given responses, and {parts.choice('sampling')} "
                "draws others, of up to sampling.max_new_tokens; prompts that are too long lose their start."
            )
            return text, (f"data.{key}={written(unset)}",)
    return None
