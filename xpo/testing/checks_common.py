"""What every option of every group must be."""

from __future__ import annotations

import dataclasses
import pickle
from typing import Any

from xpo.testing.tools import require


def is_a_frozen_dataclass(component: Any) -> None:
    params = getattr(type(component), "__dataclass_params__", None)
    require(params is not None and params.frozen, f"{type(component).__name__} is no frozen dataclass")


def says_what_it_is(component: Any) -> None:
    doc = type(component).__doc__ or ""
    require(
        len(doc.split()) > 2 and not doc.startswith(type(component).__name__ + "("), "it has no docstring"
    )


def pickles(component: Any) -> None:
    require(pickle.loads(pickle.dumps(component)) == component, "it is not the same after pickling")


def equals_its_copy(component: Any) -> None:
    copy = dataclasses.replace(component)
    require(copy == component and hash(copy) == hash(component), "two with the same fields are not equal")


CHECKS = (is_a_frozen_dataclass, says_what_it_is, pickles, equals_its_copy)
