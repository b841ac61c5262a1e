"""What agents are told: a file of texts with places, filled once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from xpo.data.record import Message, Text
from xpo.judge.template import fill, holes
from xpo.judge.template_file import TemplateError, read_yaml

SHIPPED = Path(__file__).parent / "prompts"
_MAY = {
    "memory": {"question", "answer"},
    "heard": {"question", "rating", "critiques"},
    "draft": {"agent", "memories", "prompt"},
    "rate": {"agent", "center", "memories", "prompt", "response"},
    "critique": {"critique", "rating"},
    "revise": {"agent", "question", "response", "rating", "critiques", "prompt"},
    "again": {"agent", "question", "response", "prompt"},
}
_MUST = {
    "memory": {"answer"},
    "heard": {"critiques"},
    "draft": {"memories", "prompt"},
    "rate": {"agent", "prompt", "response"},
    "critique": {"critique"},
    "revise": {"response", "critiques", "prompt"},
    "again": {"response", "prompt"},
}


@dataclass(frozen=True)
class Texts:
    """``memory`` and ``heard`` are what an agent recalls, ``rate`` what a peer is asked, others who answers.

    ``critique`` is one of several in ``revise``; ``again`` stands in its place where there are no peers.
    """

    memory: str
    heard: str
    draft: str
    rate: str
    critique: str
    revise: str
    again: str


def read_texts(name: str) -> Texts:
    """Those that xpo brings, by their name, or one's own by their path.

    Raises ``TemplateError`` naming file, key, what is wrong and what is allowed.
    """
    path = SHIPPED / f"{name}.yaml"
    if not path.is_file():
        path = Path(name).expanduser()
    if not path.is_file():
        known = ", ".join(sorted(file.stem for file in SHIPPED.glob("*.yaml")))
        raise TemplateError(f"template={name}: there is no such file, and xpo brings: {known}")
    content = read_yaml(path)
    if not isinstance(content, dict) or set(content) != set(_MAY):
        got = ", ".join(map(str, content)) if isinstance(content, dict) else type(content).__name__
        raise TemplateError(f"{path} must hold the keys {', '.join(_MAY)}, each once, got {got}")
    for key, text in content.items():
        _check(text, key, f"{path}: {key}")
    return Texts(**content)


def _check(text: object, key: str, where: str) -> None:
    if not isinstance(text, str):
        raise TemplateError(f"{where} must be a text, got {text!r:.60}")
    found, allowed = holes(text), ", ".join(f"{{{name}}}" for name in sorted(_MAY[key]))
    if found - _MAY[key]:
        raise TemplateError(f"{where}: nothing fills {sorted(found - _MAY[key])}; allowed: {allowed}")
    if _MUST[key] - found:
        lacking = ", ".join(f"{{{name}}}" for name in sorted(_MUST[key] - found))
        raise TemplateError(f"{where} has no place for {lacking}")


def told(prompt: Text, text: str, values: Mapping[str, str]) -> Text:
    """The prompt with ``text`` in the place of its question, which is its last turn of a user."""
    if isinstance(prompt, str):
        return fill(text, {**values, "prompt": prompt})
    asked = [place for place, turn in enumerate(prompt) if turn.role == "user"]
    place = asked[-1] if asked else len(prompt) - 1
    turn = prompt[place]
    said = Message(turn.role, fill(text, {**values, "prompt": turn.content}))
    return (*prompt[:place], said, *prompt[place + 1 :])
