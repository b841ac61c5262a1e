"""What stands before overrides on the command line: ``xpo <verb> ...``. Nothing is imported until asked."""

from __future__ import annotations

import importlib

VERBS = {
    "explain": "xpo.explain.explain:main",
    "table": "xpo.explain.table:main",
    "inspect": "xpo.explain.inspect:main",
    "list": "xpo.explain.options:main",
    "label": "xpo.labelling.label:main",
    "agreement": "xpo.agreement.command:main",
    "revise": "xpo.judge.verb:main",
    "society": "xpo.society.verb:main",
}
"""Verb -> ``module:function``; the function takes the arguments behind the verb, returns the exit code."""


def dispatch(verb: str, arguments: list[str]) -> int:
    """Run one verb; a user's errors pass through as ``UserError``."""
    module, function = VERBS[verb].split(":")
    return int(getattr(importlib.import_module(module), function)(arguments) or 0)
