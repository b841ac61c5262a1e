"""The model card of a reward model."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from xpo import __version__
from xpo.reward_model.usage import Apart, of_pairs, of_parts, of_wholes

_TOKENS = (
    "What transformers returns is the score of the **last token alone**; the reward is the scores of all "
    "tokens of the response, pooled as `xpo.length` in config.json says, and so xpo's is to be taken. "
)


_TOGETHER = (
    " A row is the prompt, a response, EOS once more and the other response; the log-odds that the first one "
    "wins are half the difference of what transformers returns for the two orders."
)


@dataclass(frozen=True)
class Reads:
    """What is read: two responses, the parts of one, or all its tokens; else its last token."""

    pairs: bool = False
    parts: Apart | None = None
    tokens: bool = False
    together: bool = False  # two responses, one after the other


@dataclass(frozen=True)
class RewardCard:
    """What the card says; ``about`` is the preset's ``algo``."""

    about: Mapping[str, Any]
    formula: str
    offset: tuple[float, ...]
    metrics: Mapping[str, float]
    reads: Reads = Reads()
    sign: int = 1
    zero: bool = False  # labels of single responses say what 0 is


def reward_card(card: RewardCard) -> str:
    """Markdown with YAML front matter."""
    head = "\n".join(
        [
            "---",
            "library_name: transformers",
            "pipeline_tag: text-classification",
            "tags: [xpo, reward-model]",
            "---",
        ]
    )
    rows = "\n".join(f"| {name} | {value:.6g} |" for name, value in card.metrics.items())
    parts = [
        head,
        f"# {card.about['title']}",
        f"Trained with `algo={card.about['name']}` of xpo {__version__} ({card.about['paper']}).",
        "## Use",
        _use(card),
        f"As a labeller: `python -m xpo {_labeller(card)} ...`.",
        "## Objective",
        f"```text\n{card.formula.strip()}\n```",
        "## Results",
        f"| metric | value |\n|---|---|\n{rows}",
    ]
    return "\n\n".join(parts) + "\n"


def _use(card: RewardCard) -> str:
    reads = card.reads
    if reads.pairs:
        return of_pairs() + (_TOGETHER if reads.together else "")
    how = of_parts(reads.parts) if reads.parts else of_wholes("the sign" if card.sign < 0 else "the offset")
    return how + (_TOKENS if reads.tokens else "") + (_cost(card) if card.sign < 0 else _offset(card.offset))


def _labeller(card: RewardCard) -> str:
    if card.sign < 0:
        return "annotator=safety annotator.cost=<this folder> annotator.helpfulness=<a reward model>"
    return (
        f"annotator={'preference_model' if card.reads.pairs else 'reward_model'} annotator.path=<this folder>"
    )


def _cost(card: RewardCard) -> str:
    told = ", ".join(f"{value:.6g}" for value in card.offset)
    zero = (
        "Above 0 is bad (unsafe) and below 0 good: no offset is to be taken off."
        if card.zero
        else f"Demonstrations cost 0 on average once the offset {told} (`xpo.offset`) is taken off."
    )
    return (
        "What transformers returns is a **cost**: high where a response is bad. config.json says so by "
        f"`xpo.sign: -1`; a reward is minus the cost, and xpo turns it round. {zero}"
    )


def _offset(offset: tuple[float, ...]) -> str:
    if not any(offset):
        return "No offset is to be taken off."
    told = ", ".join(f"{value:.6g}" for value in offset)
    return (
        f"What transformers returns is **reward + offset**, with offset {told}: the mean score of "
        "demonstrations, which have reward 0 on average once it is taken off. It stands in config.json under "
        "`xpo.offset`; xpo takes it off. Differences of two responses to a prompt are the same either way."
    )
