"""What a rule is, and what goes wrong in one."""

from __future__ import annotations

from typing import Protocol

from xpo.errors import UserError


class RuleError(UserError):
    """A rule has nothing to say about a row; the annotator adds which row it is."""


class ReadsAnswer:
    """Of rules that compare with the row's right answer: every row must have one."""

    def agree(self, one: str, other: str) -> bool:
        """Whether two rows say the same is right."""
        return one == other


class Rule(Protocol):
    """A number for one response: higher is better. ``answer`` is the row's right answer, if it has one.

    Messages come as the text of their turns. Whatever it raises stops the run with the row at fault.
    """

    def __call__(self, prompt: str, response: str, answer: str | None) -> float: ...
