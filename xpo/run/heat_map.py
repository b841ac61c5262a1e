"""``token_rewards.html``: the tokens' rewards as colours over the text, on one page without other files."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from html import escape
from itertools import groupby
from pathlib import Path
from string import Template

from xpo.run.files import write_text
from xpo.run.token_rewards import Judged, Token

SIDE_BY_SIDE = 4
"""Responses of one prompt on the page: of more, as many of the best as of the worst."""
_COVERED = 0.98
"""The share of tokens whose colours differ; the few beyond have the strongest one."""
_MORE, _LESS = "33, 113, 181", "217, 95, 14"  # blue and orange: told apart by everybody
_STRONGEST = 0.72  # black text is readable on it
_PAGE = Path(__file__).with_name("heat_map.html")


def write_heat_map(path: Path, responses: Sequence[Judged], title: str, about: str) -> Path:
    """A page of these responses, those of one row (``Judged.row``) side by side. ``about``: one sentence."""
    most = _scale([token for response in responses for token in response.tokens])
    rows = [list(group) for _, group in groupby(responses, key=lambda response: response.row)]
    page = Template(_PAGE.read_text(encoding="utf-8")).substitute(
        title=escape(title),
        about=escape(about),
        most=f"{most:.2g}",
        less=f"rgba({_LESS}, {_STRONGEST})",
        more=f"rgba({_MORE}, {_STRONGEST})",
        rows="\n".join(_row(group, most) for group in rows),
    )
    return write_text(path, page)


def _scale(tokens: Sequence[Token]) -> float:
    """The reward, in either direction, that has the strongest colour."""
    sizes = sorted(abs(token.reward) for token in tokens if token.reward is not None)
    return max(sizes[int(_COVERED * (len(sizes) - 1))], 1e-6) if sizes else 1.0


def _row(responses: Sequence[Judged], most: float) -> str:
    ranked = sorted(responses, key=lambda response: -response.merit)
    half = SIDE_BY_SIDE // 2
    shown = ranked if len(ranked) <= SIDE_BY_SIDE else [*ranked[:half], *ranked[-half:]]
    left_out = "" if len(shown) == len(ranked) else f", {len(shown)} of {len(ranked)} responses"
    first = responses[0]
    return (
        f'<section><div class="source">{escape(first.source)}{left_out}</div>'
        f'<div class="prompt" dir="auto">{escape(first.prompt.strip())}</div>'
        f'<div class="responses" style="--columns: {len(shown)}">'
        f"{''.join(_response(response, most) for response in shown)}</div></section>"
    )


def _response(response: Judged, most: float) -> str:
    count = len(response.tokens)
    head = (
        f'<span class="label">{escape(response.label)}</span>'
        f'<span class="total">{_signed(response.reward, 3)} nats</span>'
        f'<span class="count">{count} token{"" if count == 1 else "s"}</span>'
    )
    text = "".join(_span(group, most) for group in _characters(response.tokens))
    return f'<article><header>{head}</header><div class="text" dir="auto">{text}</div></article>'


def _characters(tokens: Sequence[Token]) -> Iterator[list[Token]]:
    """Tokens that only together make a character, together."""
    group: list[Token] = []
    for token in tokens:
        group.append(token)
        if token.text:
            yield group
            group = []
    if group:
        yield group


def _span(tokens: Sequence[Token], most: float) -> str:
    rewards = [token.reward for token in tokens if token.reward is not None]
    kind = "special" if tokens[-1].special else "token"
    text = escape(tokens[-1].text).replace("\n", '<i class="end">&#8629;</i>\n')
    if not rewards:
        return f'<span class="{kind} untrained">{text}</span>'
    strength = max(-1.0, min(1.0, sum(rewards) / most)) * _STRONGEST
    colour = f"rgba({_MORE if strength > 0 else _LESS}, {abs(strength):.3f})"
    numbers = escape("\n".join(_numbers(token) for token in tokens)).replace("\n", "&#10;")
    return f'<span class="{kind}" style="background: {colour}" data-numbers="{numbers}">{text}</span>'


def _numbers(token: Token) -> str:
    if token.reward is None or token.logp is None:
        return f"token {token.id} does not train"
    lines = [f"reward {_signed(token.reward, 5)} nats", f"log p {_signed(token.logp, 4)}"]
    if token.ref_logp is not None:
        ratio = _signed(token.logp - token.ref_logp, 4)
        lines[1] += f", reference {_signed(token.ref_logp, 4)}, log-ratio {ratio}"
    return "\n".join([*lines, f"token {token.id}"])


def _signed(value: float, digits: int) -> str:
    """With a minus as wide as the plus."""
    return f"{value:+.{digits}f}".replace("-", "\u2212")
