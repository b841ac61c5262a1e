"""Questions of several turns to any backend: options at once, or a rationale first and options after it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from xpo.data.record import Text
from xpo.judge.backend import Backend, Draw
from xpo.judge.errors import JudgeError
from xpo.judge.template import Template
from xpo.judge.turns import spoken
from xpo.judge.windows import until_error

CHUNK = 32
"""Cases whose rationales are drawn before the first of them is judged."""


@dataclass(frozen=True)
class Judged:
    """The probability of each option, and what the model said before."""

    shares: tuple[float, ...]
    rationale: str | None = None


def judged(
    backend: Backend,
    template: Template,
    options: Sequence[str],
    cases: Sequence[Mapping[str, str]],
    rationale_tokens: int,
) -> Iterator[Judged]:
    """Each case (what fills the template's holes) in order; a rationale is the likeliest one.

    ``JudgeError`` for an empty rationale, which is what a model that refuses may say.
    """
    if not rationale_tokens:
        for shares in backend.options([template.question(case) for case in cases], options):
            yield Judged(shares)
        return
    draw = Draw(rationale_tokens)
    for start in range(0, len(cases), CHUNK):
        chunk = cases[start : start + CHUNK]
        firsts = backend.answers([template.first(case) for case in chunk], draw)
        said, error = until_error(_rationale(answers[0]) for answers in firsts)
        seconds = [template.second(case, text) for case, text in zip(chunk, said, strict=False)]
        for shares, text in zip(backend.options(seconds, options), said, strict=True):
            yield Judged(shares, text)
        if error is not None:
            raise error


def _rationale(text: str) -> str:
    if not text.strip():
        raise JudgeError("the model gave an empty rationale: take rationale_tokens=0, or leave the row out")
    return text.rstrip()


def filling(prompt: Text, response: Text) -> dict[str, str]:
    """What fills a template about one response."""
    return {"prompt": spoken(prompt), "response": spoken(response)}
