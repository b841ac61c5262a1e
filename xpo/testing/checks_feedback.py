"""What a feedback option must keep to."""

from __future__ import annotations

import dataclasses
import math
from types import SimpleNamespace
from typing import Any

from xpo.contracts import FEEDBACK
from xpo.data.counts import Counts
from xpo.data.record import Example, Record
from xpo.on_policy.values import values
from xpo.testing.tools import require

_RECORD = Record(
    prompt="prompt",
    responses=("worst", "best", "middle"),
    ranks=(2, 0, 1),
    scores=(-4.0, 5.0, 0.5),
    labels=(False, True, True),
    wins=((0.5, 0.1, 0.2), (0.9, 0.5, 0.8), (0.8, 0.2, 0.5)),
    margins=((0.0, -3.0, -1.0), (3.0, 0.0, 2.5), (1.0, -2.5, 0.0)),
    costs=(0.25, 2.0, -1.5),
    where="toy:1",
)
_CARRIED = {
    "comparisons": "prefer",
    "labels": "good",
    "scores": "scores",
    "wins": "wins",
    "margins": "margins",
    "costs": "costs",
    "demonstrations": "demo",
}


def _examples(feedback: Any, *records: Record) -> list[Example]:
    return feedback(list(records), Counts())


def gives_at_most_what_it_declares(feedback: Any) -> None:
    require(feedback.gives <= FEEDBACK, f"gives={sorted(feedback.gives)} is not of {sorted(FEEDBACK)}")
    examples = _examples(feedback, _RECORD)
    require(bool(examples), "a record with every kind of label gives no example")
    for item in examples:
        carried = {need for need, name in _CARRIED.items() if getattr(item, name) is not None}
        require(
            carried <= feedback.gives, f"an example carries {sorted(carried - feedback.gives)}, undeclared"
        )


def masses_sum_to_1(feedback: Any) -> None:
    for item in _examples(feedback, _RECORD):
        sums = {
            "prefer": sum(map(sum, item.prefer)) if item.prefer is not None else 1.0,
            "demo": sum(item.demo) if item.demo is not None else 1.0,
            "good and bad": sum(item.good) + sum(item.bad) if item.good is not None and item.bad else 1.0,
        }
        for name, total in sums.items():
            require(abs(total - 1) < 1e-9, f"the masses of {name} sum to {total}")


def order_in_the_file_does_not_matter(feedback: Any) -> None:
    (one,) = _examples(feedback, _RECORD)[:1]
    order = (1, 2, 0)
    assert _RECORD.ranks and _RECORD.scores and _RECORD.labels and _RECORD.wins and _RECORD.margins
    assert _RECORD.costs
    moved = dataclasses.replace(
        _RECORD,
        responses=tuple(_RECORD.responses[i] for i in order),
        ranks=tuple(_RECORD.ranks[i] for i in order),
        scores=tuple(_RECORD.scores[i] for i in order),
        labels=tuple(_RECORD.labels[i] for i in order),
        wins=tuple(tuple(_RECORD.wins[i][j] for j in order) for i in order),
        margins=tuple(tuple(_RECORD.margins[i][j] for j in order) for i in order),
        costs=tuple(_RECORD.costs[i] for i in order),
    )
    (other,) = _examples(feedback, moved)[:1]
    require(_by_response(one) == _by_response(other), "the example depends on the order of the responses")


def better_responses_are_preferred(feedback: Any) -> None:
    for item in _examples(feedback, _RECORD):
        if item.prefer is None:
            continue
        net = {
            response: sum(item.prefer[i]) - sum(row[i] for row in item.prefer)
            for i, response in enumerate(item.responses)
        }
        require(net["best"] > net["worst"], "the worst response is preferred over the best")


def samples_are_worth_what_it_says(feedback: Any) -> None:
    """``on_policy``: what it makes a policy gradient's reward from, a higher one for what is better."""
    said = feedback.on_policy
    require(said in ("", "scores", "labels", "comparisons"), f"on_policy={said!r} is no kind of label")
    if not said:
        return
    require(said in feedback.gives, f"on_policy={said}, and gives={sorted(feedback.gives)}")
    parts = SimpleNamespace(feedback=feedback, reward_form=SimpleNamespace(reads="scores"))
    worth = dict(zip(_RECORD.responses, values(_RECORD, parts), strict=True))
    require(all(map(math.isfinite, worth.values())), f"samples are worth {worth}")
    require(worth["worst"] < worth["middle"] <= worth["best"], f"a better sample is worth less: {worth}")


def _by_response(item: Example) -> dict[Any, Any]:
    """Masses under the response's own text, whatever its place."""
    vectors = {name: getattr(item, name) for name in ("good", "bad", "demo", "scores", "costs")}
    return {
        response: {name: values[i] for name, values in vectors.items() if values is not None}
        for i, response in enumerate(item.responses)
    }


CHECKS = (
    gives_at_most_what_it_declares,
    masses_sum_to_1,
    order_in_the_file_does_not_matter,
    better_responses_are_preferred,
    samples_are_worth_what_it_says,
)
