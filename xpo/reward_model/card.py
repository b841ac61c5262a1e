"""The model card of a reward model."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from xpo import __version__

_POINTWISE = """```python
from transformers import AutoModelForSequenceClassification, AutoTokenizer

folder = "."  # this folder
tokenizer = AutoTokenizer.from_pretrained(folder)
model = AutoModelForSequenceClassification.from_pretrained(folder)
text = "the prompt" + " the response" + tokenizer.eos_token
score = model(**tokenizer(text, return_tensors="pt")).logits[0]  # of each member of the head
```

"""


@dataclass(frozen=True)
class RewardCard:
    """What the card says; ``about`` is the preset's ``algo``."""

    about: Mapping[str, Any]
    formula: str
    offset: tuple[float, ...]
    metrics: Mapping[str, float]
    of_pairs: bool


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
        f"{_pairs() if card.of_pairs else _POINTWISE + _offset(card.offset)}",
        "As a labeller: `python -m xpo annotator="
        + ("preference_model" if card.of_pairs else "reward_model")
        + " annotator.path=<this folder> ...`.",
        "## Objective",
        f"```text\n{card.formula.strip()}\n```",
        "## Results",
        f"| metric | value |\n|---|---|\n{rows}",
    ]
    return "\n\n".join(parts) + "\n"


def _offset(offset: tuple[float, ...]) -> str:
    told = ", ".join(f"{value:.6g}" for value in offset)
    return (
        f"What transformers returns is **reward + offset**, with offset {told}: the mean score of "
        "demonstrations, which have reward 0 on average once it is taken off. It stands in config.json under "
        "`xpo.offset`; xpo takes it off. Differences of two responses to a prompt are the same either way."
    )


def _pairs() -> str:
    return (
        "It says how surely one response beats another, so that a response alone has no score: "
        "`xpo.reward_model.saved.load_reward(folder).opinions(records)` gives the log-odds of all pairs."
    )
