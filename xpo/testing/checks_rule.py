"""What a rule must keep to."""

from __future__ import annotations

import math
from typing import Any

from xpo.rule.base import RuleError
from xpo.testing.tools import require

_ROWS = (
    ("What is 2 + 2?", " It is 4.", "4"),
    ("Où?", "Là-bas \N{SLIGHTLY SMILING FACE}\n<a>x</a>", "là"),
    ("", "{}", "7"),
    ("Say nothing.", "", "nothing 0"),
)


def gives_a_finite_number(rule: Any) -> None:
    for row in _ROWS:
        value = rule(*row)
        number = isinstance(value, int | float) and not isinstance(value, bool)
        require(number and math.isfinite(value), f"{value!r} for {row} is no finite number")


def says_the_same_again(rule: Any) -> None:
    for row in _ROWS:
        require(rule(*row) == rule(*row), f"another number for {row}, asked again")


def a_row_without_an_answer_is_no_crash(rule: Any) -> None:
    for prompt, response, _ in _ROWS:
        try:
            rule(prompt, response, None)
        except RuleError:
            continue


CHECKS = (gives_a_finite_number, says_the_same_again, a_row_without_an_answer_is_no_crash)
