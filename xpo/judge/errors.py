"""What goes wrong when a model is asked."""

from __future__ import annotations

from xpo.errors import UserError


class JudgeError(UserError):
    """A judge that cannot be asked, or does not answer; nothing is made up in its place."""


class TooLong(UserError):
    """A conversation that the model's window does not hold."""


class Again(Exception):
    """This attempt gave nothing; another may. ``wait``: seconds that the server asks for.

    ``billed``: the server may have worked for it. ``said``: an answer that could not be used.
    """

    def __init__(self, why: str, *, wait: float | None = None, billed: bool = True, said: str | None = None):
        super().__init__(why)
        self.wait, self.billed, self.said = wait, billed, said
