"""The conformance kit: what every option must keep to, as small named checks. For plugin authors too.

    @pytest.mark.parametrize(("option", "check"), cases("divergence", "objective"))
    def test_conformance(option: Option, check: Check) -> None:
        check(option.make())

A check takes a component, returns nothing and raises ``AssertionError`` with a sentence. The checks prove
the declarations (class variables) that compatibility is derived from, so a wrong one is found here.
"""

from xpo.testing.batches import Toy, toy
from xpo.testing.checks import Check, cases, checks_for, failures
from xpo.testing.options import Option, options

__all__ = ["Check", "Option", "Toy", "cases", "checks_for", "failures", "options", "toy"]
