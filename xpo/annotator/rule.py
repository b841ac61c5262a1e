"""Scores that rules give."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, ClassVar

from xpo.annotator.base import Desk, LabelError, Labeller, Verdict, written_text
from xpo.annotator.verdict import is_finite
from xpo.compose.composition import component
from xpo.compose.errors import ConfigError
from xpo.compose.typed import WrongType, fit
from xpo.data.record import Record
from xpo.registry import names, register
from xpo.rule.base import ReadsAnswer, Rule


@dataclass(frozen=True)
class Weighted:
    """One entry of the list."""

    name: str
    weight: float
    rule: Rule

    def __call__(self, prompt: str, response: str, answer: str | None) -> float:
        value = self.rule(prompt, response, answer)
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise LabelError(f"the rule {self.name!r} must give a number, got {value!r:.80}")
        if not is_finite(value):
            raise LabelError(f"the rule {self.name!r} must give a finite number, got {value!r:.80}")
        return self.weight * value


@register("annotator", "rule")
@dataclass(frozen=True)
class RuleAnnotator(Labeller):
    """The score of a response is the weighted sum of what rules say of it.

    ``rules``: a list of {name, weight, and the rule's own keys}; the weight is 1 unless given. ``pattern``,
    ``length``, ``format`` and ``answer`` are the core's (xpo/rule), others are registered by plugins as
    ``@register("rule", <name>)``. ``threshold``: a response with a higher score is good, any other bad; null:
    scores alone. Raises ``ValueError`` for an unknown rule, key or value before anything is read,
    ``LabelError`` with the row where a rule raises or gives no finite number.
    """

    gives: ClassVar[frozenset[str]] = frozenset({"comparisons", "labels", "scores"})
    cut: ClassVar[str] = "threshold"
    stored: ClassVar[bool] = False  # rules are quick, and their code may change

    rules: tuple[dict[str, Any], ...] = field(default=(), hash=False)
    threshold: float | None = None

    def __post_init__(self) -> None:
        if not self.rules:
            raise ValueError(
                "rules is empty: annotator.rules='[{name: length, unit: words, most: 50, weight: 1.0}]'"
            )
        if self.threshold is not None and not is_finite(self.threshold):
            raise ValueError(f"threshold must be a finite number or null, got {self.threshold}")
        for place, entry in enumerate(self.rules):
            _weighted(place, entry)

    @property
    def cuts_scores(self) -> bool:  # pyright: ignore[reportIncompatibleVariableOverride]
        """Whether a threshold says which responses are good."""
        return self.threshold is not None

    @property
    def needs(self) -> frozenset[str]:  # pyright: ignore[reportIncompatibleVariableOverride]
        """Right answers, where a rule compares with them."""
        return frozenset({"answers"} if self._readers else ())

    def contradicts(self, one: Record, other: Record) -> bool:
        """Whether a rule compares with the right answer, and the two say different ones."""
        if one.answer is None or other.answer is None:
            return False
        return any(not rule.agree(one.answer, other.answer) for rule in self._readers)

    @property
    def _readers(self) -> list[ReadsAnswer]:
        return [entry.rule for entry in self._weighted if isinstance(entry.rule, ReadsAnswer)]

    def judge(self, records: Sequence[Record], desk: Desk) -> Iterator[Verdict]:
        for record in records:
            prompt = written_text(record.prompt)
            scores = tuple(
                float(sum(rule(prompt, written_text(response), record.answer) for rule in self._weighted))
                for response in record.responses
            )
            labels = None if self.threshold is None else tuple(score > self.threshold for score in scores)
            yield Verdict(scores, labels=labels)

    @cached_property
    def _weighted(self) -> tuple[Weighted, ...]:
        return tuple(_weighted(place, entry) for place, entry in enumerate(self.rules))


def _weighted(place: int, entry: dict[str, Any]) -> Weighted:
    keys = dict(entry)
    if "name" not in keys:
        raise ConfigError(f"rules[{place}] has no name; the rules are {', '.join(names('rule'))}")
    try:
        weight = fit(keys.pop("weight", 1.0), float)
        if not 0 < abs(weight) < float("inf"):
            raise ConfigError(f"weight must be finite and not 0, got {weight}")
        rule = component("rule", keys)
    except WrongType as error:
        raise ConfigError(f"rules[{place}]: weight {error}") from None
    except ConfigError as error:
        raise ConfigError(f"rules[{place}]: {error}") from None
    return Weighted(str(keys["name"]), weight, rule)
