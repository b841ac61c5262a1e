"""Which option an answer names, and how probable each one was."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence

from xpo.judge.errors import Again, JudgeError
from xpo.judge.reply import Reply, Token

_AROUND = " \t\r\n()[]{}<>\"'`*_.,:;!"  # what may stand around an option
_SAID = (
    r"(?i:\b(?:answer|verdict|choice|preferred(?:\s+\w+)?|preference|winner|score|rating))"
    r"[^\w-]*(?i:\bis\b)?[^\w-]*"
)
_UNCLEAR = 0.01  # how much of the probability may belong to one of two options that begin alike


def check_options(options: Sequence[str]) -> None:
    """``ValueError`` unless they can be told apart in a text."""
    bare = [_bare(option) for option in options]
    if len(bare) < 2 or not all(bare) or len(set(bare)) < len(bare):
        raise ValueError(
            f"options must be two or more that differ by more than capitals and punctuation, got {options!r}"
        )


def shares(reply: Reply, options: Sequence[str]) -> tuple[tuple[float, ...], bool]:
    """The probability of each option, which sum to 1, and whether log-probabilities say so.

    The text must name one option; then the log-probabilities at that place are read, of every token that is
    an option but for white space, punctuation and capitals. Options beyond the likeliest tokens have 0, and
    without log-probabilities the one that was named has 1. Options should be one token each: letters, digits.
    Raises ``Again`` for a text that names none.
    """
    named, start = verdict(reply.text, options)
    place = None if reply.tokens is None else _place(reply.tokens, reply.text, start)
    if reply.tokens is None or place is None or _bare(reply.tokens[place][0]) not in map(_bare, options):
        return tuple(float(option == named) for option in options), False
    mass = _mass(reply.tokens, place, options)
    total = sum(mass)
    if not total > 0:
        raise Again(f"the answer {reply.text!r:.60} names {named}, but no option has a probability")
    return tuple(value / total for value in mass), True


def verdict(text: str, options: Sequence[str]) -> tuple[str, int]:
    """The one option that a text names, alone or as its verdict, and where; ``Again`` if there is none.

    A verdict is the last line that ends in "answer: A" (or verdict, choice, score, ...), else the only option
    in brackets.
    """
    for option in options:
        if _bare(option) == _bare(text):
            return option, text.index(text.strip(_AROUND))
    one = "|".join(re.escape(option) for option in sorted(options, key=len, reverse=True))
    said = list(re.finditer(rf"{_SAID}({one})(?=[{re.escape(_AROUND)}]*(?:\n|$))", text))
    bracketed = list(re.finditer(rf"[(\[]({one})[)\]]", text))
    if not said and len({match[1] for match in bracketed}) != 1:
        raise Again(f"the answer {text!r:.60} names none of {', '.join(options)}", said=text)
    match = (said or bracketed)[-1]
    return match[1], match.start(1)


def _bare(text: str) -> str:
    return text.strip(_AROUND).casefold()


def _place(tokens: Sequence[Token], text: str, start: int) -> int | None:
    """The token that holds the text's character ``start``; None where tokens do not spell the text."""
    offset = "".join(token for token, _ in tokens).find(text)
    if offset < 0:
        return None
    end = 0
    for place, (token, _) in enumerate(tokens):
        end += len(token)
        if end > offset + start:
            return place
    return None


def _mass(tokens: Sequence[Token], place: int, options: Sequence[str]) -> list[float]:
    mass = {option: _sum(tokens[place], _bare(option)) for option in options}
    for short in options:
        for long in options:
            if long != short and _bare(long).startswith(_bare(short)) and not mass[long]:
                _split(mass, short, long, tokens[place : place + 2])
    return [mass[option] for option in options]


def _split(mass: dict[str, float], short: str, long: str, tokens: Sequence[Token]) -> None:
    """Give ``long`` ("10") its part of the token that it begins with ("1"), where it is no token itself."""
    if _bare(tokens[0][0]) == _bare(short):
        rest = _bare(long)[len(_bare(short)) :]
        part = mass[short] * (_sum(tokens[1], rest) if len(tokens) > 1 else 0.0)
        mass[short], mass[long] = mass[short] - part, part
    elif mass[short] > _UNCLEAR * sum(mass.values()):
        raise JudgeError(
            f"the endpoint's tokens do not tell {short} from {long}: take options of which none begins "
            "another, such as 0 to 9"
        )


def _sum(token: Token, bare: str) -> float:
    return math.fsum(math.exp(logp) for text, logp in token[1] if _bare(text) == bare)
