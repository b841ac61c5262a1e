"""``xpo inspect``: rows (or prompts to answer) as the model gets them, read, cut and tokenised as for it."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from xpo.annotator.base import Desk
from xpo.compose.errors import ConfigError
from xpo.data.prompts import Prompt

if TYPE_CHECKING:
    from xpo.contracts import Row

USAGE = """usage: xpo inspect [overrides ...] [n=3] [split=train|test]

Rows after the real data pipeline: token boundaries, what is trained, who is preferred, what was dropped. Of
combinations that sample the prompts, as the policy gets them."""

MOST_RESPONSES = 6  # of one row; the gold world's rows have hundreds
_CONTEXT, _TRAINED, _SPECIAL, _OFF = "\033[2m", ("\033[32m", "\033[36m"), "\033[7m", "\033[0m"


@dataclass(frozen=True)
class Shown:
    """How tokens are written: a tokenizer, and whether colours may be used."""

    tokenizer: Any
    colour: bool

    def tokens(self, ids: Sequence[int], trained: bool) -> str:
        """All tokens of a text; boundaries are colours, or bars where there are none."""
        words = [self._word(token) for token in ids]
        if not self.colour:
            return "|".join(words)
        special = set(self.tokenizer.all_special_ids)
        return "".join(
            self._painted(w, n, t in special, trained)
            for n, (w, t) in enumerate(zip(words, ids, strict=True))
        )

    def _painted(self, word: str, number: int, special: bool, trained: bool) -> str:
        paint = _TRAINED[number % 2] if trained else _CONTEXT
        return f"{_SPECIAL if special else ''}{paint}{word}{_OFF}"

    def _word(self, token: int) -> str:
        word = self.tokenizer.decode([token])
        if "\N{REPLACEMENT CHARACTER}" in word:  # a part of a character: the vocabulary's own spelling
            word = self.tokenizer.convert_ids_to_tokens([token])[0]
        return word.replace("\n", "\\n").replace("\t", "\\t").replace("\r", "\\r")


def main(arguments: list[str]) -> int:
    """Prepare the rows as a run does and print the first n of a split."""
    if {"-h", "--help"} & set(arguments):
        print(USAGE)
        return 0
    number, arguments = _taken(arguments, "n", "3")
    split, overrides = _taken(arguments, "split", "train")
    if not number.isdigit() or split not in ("train", "test"):
        raise ConfigError(f"n must be a whole number and split train or test, got n={number} split={split}")
    found = prepared(overrides, split)
    shown = Shown(found.tokenizer, sys.stdout.isatty() and "NO_COLOR" not in os.environ)
    for place, item in enumerate(found.items[: int(number)]):
        told = asked(item, shown, found.answers) if isinstance(item, Prompt) else lines(item, shown)
        print("\n".join([f"{split} {found.noun} {place}  {origin(item)}".rstrip(), *told]), end="\n\n")
    print(f"{split}: {len(found.items)} {found.noun}s")
    return 0


@dataclass(frozen=True)
class Found:
    """The rows of a split, or its prompts, each of which gets so many ``answers`` (0: rows)."""

    items: Sequence[Row] | Sequence[Prompt]
    tokenizer: Any
    answers: int = 0

    @property
    def noun(self) -> str:
        return "prompt" if self.answers else "row"


def prepared(overrides: list[str], split: str) -> Found:
    """What a run begins with (what was dropped on the way is printed)."""
    from xpo.arrows import arrow_of
    from xpo.compose import build, compose_config
    from xpo.scoring.path import choose_path
    from xpo.scoring.score import Scoring
    from xpo.stages.opening import window
    from xpo.stages.source import Policy

    c = build(compose_config(overrides))
    source = c.data.open(c, Desk.of(c))
    loaded = c.model.load(seed=c.seed, texts=source.texts, tokenizer=source.tokenizer)
    source.tokenize(loaded.tokenizer, window(loaded.model))
    scoring = Scoring(path=choose_path(loaded.model)[0], support=source.support)
    start = Policy(loaded.model, loaded.tokenizer, scoring, trained=not loaded.untrained)
    if c.sampling.samples:
        prompts = source.prompts(start, c.sampling)
        chosen = prompts.train if split == "train" else prompts.test
        return Found(chosen, loaded.tokenizer, c.sampling.responses)
    rows = source.rows(start, arrow_of(c).needs)
    return Found(rows.train if split == "train" else rows.test, loaded.tokenizer)


def origin(item: Row | Prompt) -> str:
    """Where it comes from."""
    return item.record.where if isinstance(item, Prompt) else item.source


def asked(prompt: Prompt, shown: Shown, answers: int) -> list[str]:
    """One prompt that the policy answers: what is trained behind, and what it is shown where that differs."""
    found = [f"  prompt, {len(prompt.ids)} tokens, not trained", f"    {shown.tokens(prompt.ids, False)}"]
    if prompt.shown != prompt.ids:
        found.append(f"  shown for sampling, {len(prompt.shown)} tokens (sampling.prompt_template)")
        found.append(f"    {shown.tokens(prompt.shown, False)}")
    return [*found, f"  {answers} response{'s' if answers > 1 else ''} sampled when it is its turn"]


def lines(row: Row, shown: Shown) -> list[str]:
    """One row: its prompt (context, not trained) and its responses (trained, EOS included)."""
    found = [f"  prompt, {len(row.prompt)} tokens, not trained", f"    {shown.tokens(row.prompt, False)}"]
    for k, response in enumerate(row.responses[:MOST_RESPONSES]):
        ended = "ends in EOS" if response[-1] == shown.tokenizer.eos_token_id else "cut, no EOS"
        found.append(f"  response {k}, {len(response)} tokens trained, {ended}{_said(row, k)}")
        found.append(f"    {shown.tokens(response, True)}")
    more = len(row.responses) - MOST_RESPONSES
    return found + ([f"  and {more} more responses"] if more > 0 else [])


def _said(row: Row, k: int) -> str:
    """What the feedback says of one response."""
    said = []
    if row.prefer is not None:
        over = [f"{j} ({mass:.3g})" for j, mass in enumerate(row.prefer[k][:MOST_RESPONSES]) if mass]
        said += [f"preferred over {', '.join(over)}"] if over else []
    for name, values in (("good", row.good), ("bad", row.bad), ("demonstration", row.demo)):
        said += [f"{name} ({values[k]:.3g})"] if values is not None and values[k] else []
    if row.scores is not None:
        said.append(f"score {row.scores[k]:.4g}")
    return f": {', '.join(said)}" if said else ""


def _taken(arguments: list[str], key: str, default: str) -> tuple[str, list[str]]:
    """The value of ``key=...`` among the arguments, and the others."""
    own = [argument for argument in arguments if argument.startswith(f"{key}=")]
    value = own[-1].partition("=")[2] if own else default
    return value, [argument for argument in arguments if argument not in own]
