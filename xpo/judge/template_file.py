"""Templates, exemplars and principles as files: what a judge is asked is data."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from xpo.data.lines import read_lines
from xpo.data.record import Message
from xpo.errors import UserError
from xpo.judge.backend import Conversation
from xpo.judge.template import Template, fill, holes

SHIPPED = Path(__file__).parent / "prompts"
_ROLES = ("system", "user", "assistant")
_KEYS = ("options", "exemplar", "exemplar_thinking", "ask", "think", "then")


class TemplateError(UserError):
    """A file of prompts, exemplars or principles that cannot be used; the message names file and key."""


@dataclass(frozen=True)
class Kind:
    """Which holes the templates in a folder of ``prompts`` may have, and which what is asked first must."""

    folder: str
    may: frozenset[str]
    must: frozenset[str]
    then_must: frozenset[str] = frozenset()  # what is asked after a rationale


def read_template(kind: Kind, name: str, exemplars: str | None = None, thinking: bool = False) -> Template:
    """A shipped template by its name, or one's own by its path, with exemplars from a file of JSON lines.

    Raises ``TemplateError`` naming file, key, what is wrong and what is allowed.
    """
    path = _path(kind, name)
    content = _content(path)
    turns = {key: _turns(content.get(key) or [], f"{path}: {key}", kind) for key in ("ask", "think", "then")}
    for key in ("think", "then") if thinking else ("ask",):
        if not turns[key]:
            raise TemplateError(f"{path} has no {key}: it has turns with a role and a content")
    first = "think" if thinking else "ask"
    _check_holes(turns[first], kind.must, f"{path}: {first}")
    if thinking:
        _check_holes(turns["then"], kind.then_must, f"{path}: then")
    shown = ""
    if exemplars is not None:
        key = "exemplar_thinking" if thinking else "exemplar"
        shown = _exemplars(content.get(key), f"{path}: {key}", Path(exemplars))
        if not any("exemplars" in holes(turn.content) for turn in turns[first]):
            raise TemplateError(f"{path}: no turn has a place for exemplars, which is {{exemplars}}")
    options = _options(content.get("options"), path)
    text = json.dumps([sorted((k, repr(v)) for k, v in turns.items()), options, shown])
    return Template(turns["ask"], turns["think"], turns["then"], options, shown, text)


def _path(kind: Kind, name: str) -> Path:
    shipped = SHIPPED / kind.folder / f"{name}.yaml"
    if shipped.is_file():
        return shipped
    path = Path(name).expanduser()
    if not path.is_file():
        known = ", ".join(sorted(file.stem for file in (SHIPPED / kind.folder).glob("*.yaml")))
        raise TemplateError(f"template={name}: there is no such file, and xpo brings: {known}")
    return path


def _content(path: Path) -> dict[str, Any]:
    content = read_yaml(path)
    if not isinstance(content, dict):
        raise TemplateError(f"{path} must hold keys ({', '.join(_KEYS)}), got {type(content).__name__}")
    for key in content:
        if key not in _KEYS:
            raise TemplateError(f"{path}: nothing reads {key!r}; a template has {', '.join(_KEYS)}")
    return content


def read_yaml(path: Path) -> Any:
    """A YAML file's content; ``TemplateError`` if it cannot be read."""
    try:
        return yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise TemplateError(f"{path} cannot be read: {error}") from None


def _turns(value: Any, where: str, kind: Kind) -> Conversation:
    if not isinstance(value, list):
        raise TemplateError(f"{where} must be a list of turns, each with a role and a content")
    found = []
    for number, turn in enumerate(value, 1):
        if not isinstance(turn, dict) or set(turn) != {"role", "content"}:
            raise TemplateError(f"{where}, turn {number}: needs a role and a content, got {turn!r:.80}")
        if turn["role"] not in _ROLES or not isinstance(turn["content"], str) or not turn["content"]:
            raise TemplateError(f"{where}, turn {number}: role is one of {', '.join(_ROLES)}, content a text")
        unknown = holes(turn["content"]) - kind.may - {"exemplars"}
        if unknown:
            allowed = ", ".join(sorted(kind.may | {"exemplars"}))
            raise TemplateError(
                f"{where}, turn {number}: nothing fills {sorted(unknown)}; allowed: {allowed}"
            )
        found.append(Message(turn["role"], turn["content"]))
    return tuple(found)


def _check_holes(turns: Conversation, must: frozenset[str], where: str) -> None:
    lacking = must - set().union(*(holes(turn.content) for turn in turns))
    if lacking:
        raise TemplateError(
            f"{where} has no place for {', '.join(f'{{{name}}}' for name in sorted(lacking))}"
        )


def _exemplars(form: Any, where: str, path: Path) -> str:
    if not isinstance(form, str):
        raise TemplateError(f"{where}: this template says nothing about how an exemplar is written")
    needed, shown = holes(form), []
    for place, row in read_lines(path, _stop):
        if set(row) != needed or not all(isinstance(value, str) for value in row.values()):
            raise TemplateError(
                f"{place}: an exemplar has the texts {', '.join(sorted(needed))}, got {', '.join(row)}"
            )
        shown.append(fill(form, row))
    if not shown:
        raise TemplateError(f"{path} has no exemplar")
    return "".join(shown)


def _stop(error: Exception) -> None:
    raise error


def _options(value: Any, path: Path) -> tuple[str, ...]:
    if value is None:
        return ()
    if not isinstance(value, list) or not all(isinstance(option, str) for option in value):
        raise TemplateError(f"{path}: options must be a list of texts (in quotes), got {value!r:.80}")
    return tuple(value)


def check_rationale(tokens: int) -> None:
    """Raises ``ValueError``."""
    if tokens < 0:
        raise ValueError(f"rationale_tokens must be 0 (no rationale) or more, got {tokens}")
