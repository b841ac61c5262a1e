"""Fields that only long responses, or only a stage, show: the kit tells who reads them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from xpo.length.overlong import Overlong
from xpo.sft.both import Both
from xpo.sft.separate import Separate
from xpo.testing import failures


class Free(Overlong):
    """Says that long responses have a price, and takes none."""

    def offset(self, mask_BKT: Tensor) -> Tensor:
        return 0.0 * super().offset(mask_BKT)


class Secret(Overlong):
    """Has a price and does not say so."""

    has_offset: ClassVar[bool] = False


class Sudden(Overlong):
    """Has the whole price from where it begins."""

    def offset(self, mask_BKT: Tensor) -> Tensor:
        return self.alpha * (mask_BKT.sum(-1) > 48)


@dataclass(frozen=True)
class Stubborn(Both):
    """Has a learning rate for its stage, which gets another."""

    @property
    def recipe(self) -> Separate:
        return Separate(1e-4, self.epochs, self.steps, self.batch_size)


def test_a_price_that_only_long_responses_have_is_seen():
    assert failures(Overlong(), "length") == []
    assert any("has_offset=True" in failure for failure in failures(Free(), "length"))
    assert any("has_offset=False" in failure for failure in failures(Secret(), "length"))
    assert any("nothing depends on most" in failure for failure in failures(Sudden(), "length"))


def test_fields_of_a_stage_beside_a_term_are_read_by_its_recipe():
    assert failures(Both(), "sft") == []
    assert any("nothing depends on lr" in failure for failure in failures(Stubborn(), "sft"))
