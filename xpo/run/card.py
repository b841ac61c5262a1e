"""The model card of an exported model: front matter, the composed objective, how to use and cite it."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from xpo import __version__
from xpo.run.manifest import versions
from xpo.written import written

_HUB_NAME = re.compile(r"[\w.-]+/[\w.-]+")


@dataclass(frozen=True)
class Card:
    """What a model card says. ``base_model`` and ``dataset`` go to the front matter if they are hub names."""

    method: str  # the preset's name
    title: str  # the method's full name
    formula: str  # the composed objective as text
    axes: Mapping[str, str]
    dataset: str
    base_model: str | None = None  # None: trained from scratch
    paper: str = ""
    settings: Mapping[str, Any] = field(default_factory=dict)  # resolved config, beside the axes
    metrics: Mapping[str, float] = field(default_factory=dict)
    license: str | None = None
    adapter: bool = False  # the folder holds a peft adapter alone
    decoding: str | None = None  # Python that makes ``processor``, where the model alone is not the policy


def model_card(card: Card) -> str:
    """The card as Markdown with YAML front matter."""
    base = card.base_model or "a randomly initialised model"
    parts = [
        _front_matter(card),
        f"# {card.title or card.method}",
        f"`{_shown(base)}` aligned on `{_shown(card.dataset)}` with `algo={card.method}` of xpo.",
        "## Use",
        _quick_start(card),
        "## Objective",
        f"```text\n{card.formula.strip()}\n```",
        _table(("axis", "value"), card.axes),
        "## Results",
        _table(("metric", "value"), {name: f"{value:.6g}" for name, value in card.metrics.items()}),
        "## Settings",
        _table(("key", "value"), _flat(card.settings)),
        "## Versions",
        _table(
            ("package", "version"),
            {"xpo": __version__, **{k: v for k, v in versions().items() if v is not None}},
        ),
        "## Citation",
        _citation(card),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def _front_matter(card: Card) -> str:
    fields: dict[str, Any] = {
        "library_name": "peft" if card.adapter else "transformers",
        "pipeline_tag": "text-generation",
        "tags": ["xpo", card.method],
    }
    if card.base_model and _HUB_NAME.fullmatch(card.base_model):
        fields["base_model"] = card.base_model
    if _HUB_NAME.fullmatch(card.dataset):
        fields["datasets"] = [card.dataset]
    if card.license:
        fields["license"] = card.license
    # JSON is YAML: quoting stays right whatever stands in a name
    lines = [f"{key}: {json.dumps(value, ensure_ascii=False)}" for key, value in fields.items()]
    return "\n".join(["---", *lines, "---"])


def _quick_start(card: Card) -> str:
    if card.adapter:
        load = "from peft import AutoPeftModelForCausalLM as Model\nfrom transformers import AutoTokenizer"
    else:
        load = "from transformers import AutoModelForCausalLM as Model, AutoTokenizer"
    again = (
        "An adapter alone is no start for another run: `adapter.merge=true` exports a whole model."
        if card.adapter
        else "As the start of the next run: `python -m xpo model=hf model.path=<this folder>`."
    )
    drawn = "" if card.decoding is None else "logits_processor=[processor], do_sample=True"
    return (
        f"```python\n{load}\n\n"
        'folder = "."  # this folder\n'
        "tokenizer = AutoTokenizer.from_pretrained(folder)\n"
        "model = Model.from_pretrained(folder)\n"
        f"{'' if card.decoding is None else card.decoding}"
        'inputs = tokenizer("...", return_tensors="pt")\n'
        f"print(tokenizer.decode(model.generate({', '.join(filter(None, ('**inputs', drawn)))})[0]))\n```\n\n"
        f"{again}"
    )


def _citation(card: Card) -> str:
    method = f"The method: {card.title or card.method}, {card.paper}. " if card.paper else ""
    return f"{method}The axes: A Comprehensive Survey of LLM Alignment Techniques, arXiv 2407.16216."


def _table(head: tuple[str, str], rows: Mapping[str, Any]) -> str:
    if not rows:
        return ""
    lines = [f"| {head[0]} | {head[1]} |", "|---|---|"]
    return "\n".join(lines + [f"| {key} | {_cell(value)} |" for key, value in rows.items()])


def _flat(settings: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested settings with dotted keys."""
    result: dict[str, Any] = {}
    for key, value in settings.items():
        if isinstance(value, Mapping):
            result |= _flat(value, f"{prefix}{key}.")
        else:
            result[f"{prefix}{key}"] = value
    return {key: _shown(value) if isinstance(value, str) else value for key, value in result.items()}


def _shown(name: str) -> str:
    """A local path by its last part: a card is published, a machine's folders are not."""
    return name.rstrip("/").split("/")[-1] if name.startswith(("/", "~", ".")) else name


def _cell(value: Any) -> str:
    return written(value).replace("|", "\\|").replace("\n", " ")
