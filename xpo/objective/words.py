"""Parts of the text and the LaTeX that objectives share."""

from __future__ import annotations


def gap_text(preferred: str, dispreferred: str, margin: str) -> str:
    """``gaps`` as an expression: i(x), j(x) put x along the rows or columns of a K x K table.

    Without ``dispreferred`` the first is such a table itself: log-odds of two responses.
    """
    if not dispreferred:
        return f"({preferred}{margin})"
    return f"(i({preferred}) - j({dispreferred}){margin})"


def gap_latex(preferred: str, dispreferred: str, margin: str) -> str:
    """``gaps`` in LaTeX, for a pair (w, l)."""
    if not dispreferred:
        return rf"\left({preferred}(y_w, y_l){margin}\right)"
    return rf"\left({at(preferred, 'w')} - {at(dispreferred, 'l')}{margin}\right)"


def at(symbol: str, response: str) -> str:
    """A reward's symbol at one response; constants stay."""
    return rf"{symbol}(y_{response})" if symbol.strip("0. ") else symbol
