"""What a society's conversation came to, in numbers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from xpo.run.say import say
from xpo.society.outcome import Outcome
from xpo.society.rating import mean
from xpo.society.thread import Thread


def told_of(found: Sequence[Outcome], collector: Any) -> dict[str, float]:
    """Means over threads, of drafts and of last answers: the observer's score, and peers' ratings.

    ``society/improved`` is the share whose best answer the observer finds better than the draft.
    """
    threads = [thread for outcome in found for thread in outcome.threads]
    if not threads:
        return {}
    observed = [scores for outcome in found for scores in outcome.observed]
    known = [one is not None for outcome in found for one in outcome.learnt]
    opinions = [one for thread in threads for answer in thread.answers for one in answer.opinions]
    unread = sum(one.rating is None for one in opinions)
    collector.count("opinions of peers", len(opinions))
    collector.count("opinions without a rating", unread)
    numbers = {
        "society/observed_draft": _mean([scores[0] for scores in observed]),
        "society/observed_last": _mean([scores[-1] for scores in observed]),
        "society/improved": _mean(list(map(float, known))),
        **_ratings(threads),
    }
    if not collector.desk.passing:
        listed = ", ".join(f"{name.partition('/')[2]} {value:.4g}" for name, value in numbers.items())
        left = f"; {unread} of {len(opinions)} opinions of peers have no rating" if unread else ""
        say(f"society of {collector.parts.sampling.agents}: {listed}{left}")
    return numbers


def _ratings(threads: Sequence[Thread]) -> dict[str, float]:
    found = {}
    for name, place in (("draft", 0), ("last", -1)):
        rated = [rating for t in threads if (rating := mean(t.answers[place].opinions)) is not None]
        if rated:
            found[f"society/rating_{name}"] = _mean(rated)
    return found


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)
