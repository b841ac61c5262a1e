"""``xpo revise``: demonstrations made of responses that a model criticised and revised by principles."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_type_hints

from xpo.compose.errors import ConfigError
from xpo.compose.typed import WrongType, fit

if TYPE_CHECKING:
    from xpo.compose.composition import Composition
    from xpo.judge.revise import Recipe

USAGE = """usage: xpo revise annotator=constitution annotator.path=MODEL data=jsonl data.path=FILE
                  out=NEW.jsonl [rounds=4] [start=data|model] [max_new_tokens=256]
                  [temperature=1.0] [seed=0] [template=anthropic] [exemplars=FILE.jsonl] [overrides ...]

Each training row's responses (start=data), or the model's own answer to its prompt (start=model), are
criticised and revised so many rounds by the model, under the annotator's principles. `out` gets rows of
prompt and completion for the sft stage (data.demonstrations=NEW.jsonl). Revisions are kept in the cache: a
command that was stopped goes on where it was. Held-out rows are left alone."""


@dataclass(frozen=True)
class Given:
    """The verb's own arguments."""

    out: str = ""
    start: Literal["data", "model"] = "data"
    rounds: int = 4
    max_new_tokens: int = 256
    temperature: float = 1.0
    seed: int = 0
    template: str = "anthropic"
    exemplars: str | None = None

    def __post_init__(self) -> None:
        if not self.out.endswith(".jsonl"):
            raise ValueError(f"out must be a file that ends in .jsonl, got {self.out!r}")

    @property
    def recipe(self) -> Recipe:
        from xpo.judge.revise import Recipe

        return Recipe(self.rounds, self.max_new_tokens, self.temperature, self.seed)


def main(arguments: list[str]) -> int:
    """Revise and write; a user's errors pass through."""
    if not arguments or {"-h", "--help"} & set(arguments):
        print(USAGE)
        return 0
    given, overrides = parsed(arguments)
    from xpo.compose import compose_config
    from xpo.compose.composition import instantiate
    from xpo.compose.unread import check_read

    composition = instantiate(compose_config(overrides))
    check_read(overrides, ("annotator", "cache", "data"), "xpo revise")
    _check_annotator(composition, overrides)
    return write(composition, given)


def _check_annotator(c: Composition, overrides: Sequence[str]) -> None:
    """An annotator that revises, and no key of it that comparisons alone read."""
    from xpo.judge.revise import Revising

    if not isinstance(c.annotator, Revising):
        raise ConfigError(
            f"{c.choice('annotator')} has no principles to revise by; annotator=constitution has"
        )
    for override in overrides:
        group, _, key = override.lstrip("+").partition("=")[0].partition(".")
        if group != "annotator" or not key or key in c.annotator.revises_with:
            continue
        own = f"xpo revise has a {key}=... of its own" if key in get_type_hints(Given) else "leave it away"
        raise ConfigError(f"annotator.{key} is of comparisons, and revisions do not read it: {own}")


def parsed(arguments: Sequence[str]) -> tuple[Given, list[str]]:
    """The verb's own arguments, and the others. ``ConfigError`` names the argument at fault."""
    kinds = get_type_hints(Given)
    own = dict(argument.split("=", 1) for argument in arguments if argument.partition("=")[0] in kinds)
    values = {}
    for key, text in own.items():
        try:
            values[key] = fit(_number(text) if kinds[key] in (int, float) else text, kinds[key])
        except WrongType as error:
            raise ConfigError(f"{key} {error}") from None
    try:
        given = Given(**values)
        given.recipe  # noqa: B018 (raises for what is out of range)
    except ValueError as error:
        raise ConfigError(f"xpo revise: {error}") from None
    return given, [argument for argument in arguments if argument.partition("=")[0] not in own]


def _number(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text


def write(composition: Composition, given: Given) -> int:
    """Revise what is not revised yet, and write every demonstration."""
    from xpo.annotator.base import Desk
    from xpo.judge.demonstrations import Request, demonstrations
    from xpo.judge.revise import KIND
    from xpo.judge.template_file import read_template
    from xpo.run.files import output_folder, write_text
    from xpo.run.quiet import quiet_libraries
    from xpo.run.say import say

    c = composition
    lacking = {"texts"} - c.data.provides
    if lacking:
        raise ConfigError(f"{c.choice('data')} has no texts to revise; give data=jsonl data.path=FILE")
    c.annotator.improving()  # raises where there is no such principle
    out = Path(given.out).expanduser()
    template = read_template(KIND, given.template, given.exemplars, thinking=True)
    if out.resolve() == Path(c.data.path).expanduser().resolve():
        raise ConfigError(f"out={given.out} is the file that is read: give another one")
    records = c.data.read().train
    output_folder(out.parent, "out")
    quiet_libraries()
    request = Request(template, given.recipe, own=given.start == "model")
    made = demonstrations(c.annotator, c.data, records, Desk.of(c), request)
    write_text(out, "".join(f"{line}\n" for line in made.lines))
    say(made.told(out))
    return 0
