"""The base of every error that is a user's to mend: printed as one message, without a traceback."""

from __future__ import annotations


class UserError(ValueError):
    """Bad input: a config, a data file, a model folder. The message says what to change."""


class Waiting(UserError):
    """A run that goes on once a person has done something: the message says what, and how to go on.

    ``left`` of ``total`` things are to be done. The command ends with exit code 3.
    """

    def __init__(self, text: str, left: int, total: int) -> None:
        self.text, self.left, self.total = text, left, total
        super().__init__(f"waiting: {left} of {total} {text}")
