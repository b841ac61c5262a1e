"""Every loss that TRL has too: its own trainers, on the same weights and tokens, say what xpo says.

One table: TRL's settings, xpo's overrides, and where the two differ on purpose a reason and the exact
relation between them. Values must agree to 1e-5, gradients in all parameters to 1e-4 of their length.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from importlib.util import find_spec

import pytest

from tests.trl.cases import CASES
from tests.trl.peer import by_trl, by_xpo, mean, rows_of

pytestmark = [
    pytest.mark.skipif(find_spec("trl") is None, reason="TRL is not installed (extra: dev)"),
    pytest.mark.filterwarnings("ignore::FutureWarning"),  # TRL's own defaults use deprecated settings
]


@pytest.fixture(scope="module", autouse=True)
def own_process_state() -> Iterator[None]:
    """TRL's trainers set environment variables and accelerate's global state: not for tests that follow."""
    before = dict(os.environ)
    os.environ["TRL_EXPERIMENTAL_SILENCE"] = "1"
    yield
    os.environ.clear()
    os.environ.update(before)
    from accelerate.state import AcceleratorState

    AcceleratorState._reset_state(reset_partial_state=True)


@pytest.mark.parametrize("name", CASES)
def test_same_loss(name: str) -> None:
    case = CASES[name]
    trl, batch = by_trl(case.trainer, case.settings)
    if case.alone:
        trl = mean([by_trl(case.trainer, case.settings, (i,))[0] for i in range(3)])
    rows, mismatched = rows_of(batch)
    xpo = case.expected(case, lambda *overrides: by_xpo(overrides, rows, mismatched))
    assert trl.value == pytest.approx(xpo.value, abs=1e-5)
    assert (trl.slope - xpo.slope).norm() <= 1e-4 * trl.slope.norm()
