"""Every loss that TRL has too: its own trainers, on the same weights and tokens, say what xpo says.

One table: TRL's settings, xpo's overrides, and where the two differ on purpose a reason and the exact
relation between them. Values must agree to 1e-5, gradients in all parameters to 1e-4 of their length.
"""

from __future__ import annotations

import re
from importlib.util import find_spec

import numpy as np
import pytest

from tests.trl.cases import ABSENT, CASES
from tests.trl.peer import trainers

pytestmark = [
    pytest.mark.skipif(find_spec("trl") is None, reason="TRL is not installed (extra: dev)"),
    pytest.mark.filterwarnings("ignore::FutureWarning"),  # TRL's own defaults use deprecated settings
]


@pytest.mark.parametrize("name", CASES)
def test_same_loss(name: str) -> None:
    case = CASES[name]
    theirs, ours = case.theirs(case), case.ours(case)
    assert theirs.value == pytest.approx(ours.value, rel=1e-5, abs=1e-5)
    assert (theirs.slope - ours.slope).norm() <= 1e-4 * theirs.slope.norm()


@pytest.mark.parametrize("name", [name for name, case in CASES.items() if case.why or case.unlike])
def test_the_difference_is_there(name: str) -> None:
    case = CASES[name]
    assert abs(case.trl().value - case.xpo(*case.unlike).value) > 1e-3


@pytest.mark.parametrize("trainer", ["dpo", "kto", "cpo"])
def test_no_loss_of_trl_is_left_out(trainer: str) -> None:
    about = trainers()[trainer][1].__dataclass_fields__["loss_type"].metadata
    offered = about.get("choices") or re.findall(r"`'(\w+)'`", about["help"])
    compared = {
        kind
        for case in CASES.values()
        if case.trainer == trainer
        for kind in np.atleast_1d(case.settings.get("loss_type", "kto" if trainer == "kto" else "sigmoid"))
    }
    assert set(offered) == compared | ABSENT.get(trainer, set())
