"""What comes of a prompt: rated answers as rows, what was learnt, and how the journal tells of it."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from xpo.annotator.base import LabelError, plain_text
from xpo.data.prompts import Prompt
from xpo.data.record import Record
from xpo.on_policy.answered import Answered
from xpo.sampler.base import Sampled
from xpo.society.journal import learnt
from xpo.society.memory import Recollection
from xpo.society.rating import LEAST, MOST, mean, worst_last
from xpo.society.thread import Thread


@dataclass(frozen=True)
class Outcome:
    """``observed``: the observer's scores of each thread's answers. ``learnt``: of each thread, or None."""

    answered: Answered
    threads: list[Thread]
    observed: list[list[float]]
    learnt: list[Recollection | None]
    lines: list[dict[str, Any]]


def outcomes(
    collector: Any, name: str, prompts: Sequence[Prompt], threads: Sequence[Thread]
) -> list[Outcome]:
    """Of each prompt, its threads' answers one after another; the collector's observer annotates them.

    ``name``: of the turn.
    """
    mine = [[thread for thread in threads if thread.place == place] for place in range(len(prompts))]
    chains = [[answer for thread in own for answer in thread.answers] for own in mine]
    drawn = Sampled(
        [[answer.ids for answer in chain] for chain in chains],
        [[answer.logps for answer in chain] for chain in chains],
        [[answer.finished for answer in chain] for chain in chains],
    )
    said = [collector.prompts.said(prompt, ids) for prompt, ids in zip(prompts, drawn.responses, strict=True)]
    with collector.clock("annotate"):
        desk = dataclasses.replace(collector.desk, policy=collector.policy, draw=name, passing=True)
        observed = collector.parts.annotator(said, desk)
    peers_rate = bool(collector.parts.sampling.rates)
    rated = [_rated(r, own) if peers_rate else r for r, own in zip(observed, mine, strict=True)]
    answered = collector.answered(prompts, drawn, rated)
    return [
        _outcome(one, own, _scores(record)) for one, own, record in zip(answered, mine, observed, strict=True)
    ]


def _rated(record: Record, threads: Sequence[Thread]) -> Record:
    """The record with the peers' mean ratings in the place of what the observer said; costs stay."""
    scores = []
    for answer in (answer for thread in threads for answer in thread.answers):
        found = mean(answer.opinions)
        if found is None:
            raise LabelError(
                f"{record.where}: none of the {len(answer.opinions)} peers rates response {len(scores)} with "
                f"'Rating: ' and a whole number from {LEAST} to {MOST}; the first one's critique is "
                f"{answer.opinions[0].critique[-200:]!r}. Raise sampling.max_critique_tokens, let a model "
                "speak that follows instructions (sampling.peer_model), or take sampling.scores=observer"
            )
        scores.append(found)
    return dataclasses.replace(
        record, scores=tuple(scores), ranks=None, labels=None, wins=None, margins=None, parts=None
    )


def _scores(record: Record) -> Sequence[float]:
    if record.scores is None:
        raise LabelError(f"{record.where}: the observer (the annotator) does not say which answer is better")
    return record.scores


def _outcome(answered: Answered, threads: list[Thread], scores: Sequence[float]) -> Outcome:
    size = len(threads[0].answers)
    observed = [list(scores[start : start + size]) for start in range(0, len(scores), size)]
    known = [_learnt(thread, seen) for thread, seen in zip(threads, observed, strict=True)]
    lines = [_line(*one) for one in zip(threads, observed, known, strict=True)]
    return Outcome(answered, threads, observed, known, lines)


def _learnt(thread: Thread, observed: Sequence[float]) -> Recollection | None:
    """The answer that the observer likes best, if it is better than the draft, and what led to it."""
    best = max(range(len(observed)), key=lambda place: observed[place])
    if observed[best] <= observed[0]:
        return None
    before = thread.answers[best - 1].opinions
    critiques = tuple(one.critique for one in worst_last(before) if one.critique)
    return Recollection(thread.question, thread.answers[best].text.strip(), mean(before), critiques)


def _line(thread: Thread, observed: Sequence[float], known: Recollection | None) -> dict[str, Any]:
    return {
        "where": thread.prompt.record.where,
        "agent": thread.agent,
        "prompt": plain_text(thread.question),
        "answers": [
            {
                "text": answer.text,
                "observed": score,
                "peers": [dataclasses.asdict(one) for one in answer.opinions],
            }
            for answer, score in zip(thread.answers, observed, strict=True)
        ],
        "learnt": learnt(known),
    }
