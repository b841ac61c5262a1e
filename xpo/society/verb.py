"""``xpo society``: lists of rated answers, written by a society of one model's agents, without training."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from xpo.compose.errors import ConfigError
from xpo.compose.typed import WrongType, fit

if TYPE_CHECKING:
    from xpo.compose.composition import Composition
    from xpo.on_policy.collect import Collector

USAGE = """usage: xpo society algo=PRESET data=jsonl data.path=FILE model=hf model.path=MODEL
                   annotator=OBSERVER out=FOLDER [rounds=1] [overrides ...]

Agents that all speak with one model answer the rows' prompts, rate and criticise each other, and answer again
(a preset with sampling=society, see docs/society.md), `rounds` times over, and remember what the observer
finds improved. FOLDER gets lists.jsonl (rows of prompt, completions and scores, for presets of lists) and
society.jsonl (who said what). What was bought is kept in the cache: a command that was stopped pays for
nothing twice. Held-out rows are left alone."""

READ = ("algo", "annotator", "cache", "data", "hp", "model", "sampling", "seed")


@dataclass(frozen=True)
class Given:
    """The verb's own arguments."""

    out: str = ""
    rounds: int = 1

    def __post_init__(self) -> None:
        if not self.out:
            raise ValueError("out is not set: give the folder to write to")
        if self.rounds < 1:
            raise ValueError(f"rounds must be at least 1, got {self.rounds}")


def main(arguments: list[str]) -> int:
    """Talk and write; a user's errors pass through."""
    if not arguments or {"-h", "--help"} & set(arguments):
        print(USAGE)
        return 0
    given, overrides = parsed(arguments)
    from xpo.compose import build, compose_config
    from xpo.compose.unread import check_read

    composition = build(compose_config(overrides))
    check_read(overrides, READ, "xpo society")
    if not composition.sampling.converses:
        raise ConfigError(
            f"nobody talks with {composition.choice('sampling')}, as it is set: give algo=sandbox, or "
            "sampling=society with peers, memories or revisions"
        )
    return write(composition, given)


def parsed(arguments: Sequence[str]) -> tuple[Given, list[str]]:
    """The verb's own arguments, and the others. ``ConfigError`` names the argument at fault."""
    kinds: dict[str, Any] = {"out": str, "rounds": int}
    values: dict[str, Any] = {}
    rest = []
    for argument in arguments:
        key, _, text = argument.partition("=")
        if key not in kinds:
            rest.append(argument)
            continue
        try:
            values[key] = fit(int(text) if key == "rounds" and text.isdigit() else text, kinds[key])
        except WrongType as error:
            raise ConfigError(f"{key} {error}") from None
    try:
        return Given(**values), rest
    except ValueError as error:
        raise ConfigError(f"xpo society: {error}") from None


def write(composition: Composition, given: Given) -> int:
    """Let the agents answer, and write every list."""
    from xpo.run.files import output_folder, write_text
    from xpo.run.quiet import quiet_libraries
    from xpo.run.say import say, shown

    out = output_folder(Path(given.out).expanduser(), "out")
    quiet_libraries()
    collector, lines = collector_of(composition, out), []
    for number in range(1, given.rounds + 1):
        answers = collector.answers(
            collector.prompts.train, f"round {number}", composition.sampling.responses
        )
        lines += [json.dumps(row_of(answer.record), ensure_ascii=False) for answer in answers]
    path = write_text(out / "lists.jsonl", "".join(f"{line}\n" for line in lines))
    say(f"{len(lines)} lists in {shown(path)}; who said what stands in {shown(out / 'society.jsonl')}")
    return 0


def collector_of(c: Composition, out: Path) -> Collector:
    """Who draws answers of a composition's model to its data's prompts, without a run."""
    from xpo.annotator.base import Desk
    from xpo.model.loaded import best_device
    from xpo.on_policy.collect import Collector
    from xpo.scoring.path import choose_path
    from xpo.scoring.score import Scoring
    from xpo.stages.opening import window
    from xpo.stages.sampler import drawing, meet, tempered
    from xpo.stages.source import Policy

    desk = dataclasses.replace(Desk.of(c), out=out)
    source = c.data.open(c, desk)
    meet(c)
    loaded = c.model.load(seed=c.seed, texts=source.texts, tokenizer=source.tokenizer)
    source.tokenize(loaded.tokenizer, window(loaded.model))
    scoring = Scoring(path=choose_path(loaded.model)[0], support=source.support)
    policy = Policy(loaded.model.to(best_device()), loaded.tokenizer, scoring, trained=not loaded.untrained)
    prompts = source.prompts(policy, c.sampling)
    collector = Collector(c, prompts, tempered(policy, c.sampling.temperature), desk)
    drawing(collector, None)
    return collector


def row_of(record: Any) -> dict[str, Any]:
    """A list with its scores, in the columns that ``data=jsonl`` reads."""
    from xpo.annotator.base import written_text

    prompt = record.prompt
    if not isinstance(prompt, str):
        prompt = [{"role": turn.role, "content": turn.content} for turn in prompt]
    texts = [str(written_text(response)) for response in record.responses]
    return {"prompt": prompt, "completions": texts, "scores": list(record.scores)}
