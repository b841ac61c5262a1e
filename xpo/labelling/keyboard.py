"""What a person types: single keys on a terminal, lines elsewhere."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator
from typing import Protocol


class Keyboard(Protocol):
    """Where answers come from; None is the end of the input."""

    single: bool  # one key is one answer, without Enter

    def key(self) -> str | None: ...
    def line(self) -> str | None: ...


class Lines:
    """Answers as lines of standard input: pipes, tests, systems without a terminal of Unix."""

    single = False

    def key(self) -> str | None:
        """The next line."""
        return self.line()

    def line(self) -> str | None:
        """The next line, without white space around it."""
        text = sys.stdin.readline()
        return text.strip() if text else None


class Keys(Lines):
    """Single keys of a terminal."""

    single = True

    def key(self) -> str | None:
        """The next key. Ctrl-D ends the input, Ctrl-C interrupts as ever."""
        import termios
        import tty

        number = sys.stdin.fileno()
        before = termios.tcgetattr(number)
        try:
            tty.setcbreak(number, termios.TCSADRAIN)  # keys typed ahead are kept
            text = sys.stdin.read(1)
        finally:
            termios.tcsetattr(number, termios.TCSADRAIN, before)
        return None if text in ("", "\x04") else text


@contextlib.contextmanager
def keyboard() -> Iterator[Keyboard]:
    """Keys where standard input is a terminal that gives them, else lines."""
    sys.stdin.reconfigure(encoding="utf-8", errors="replace")  # type: ignore[union-attr]
    yield Keys() if sys.stdin.isatty() and _unix() else Lines()


def _unix() -> bool:
    try:
        import termios  # noqa: F401
    except ImportError:
        return False
    return True
