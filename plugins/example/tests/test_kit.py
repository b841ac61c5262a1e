"""The core's conformance kit over this plugin's options: each check is a promise that every option makes."""

from __future__ import annotations

import pytest

from xpo.testing import Check, Option, cases

OURS = [case for case in cases("divergence", "feedback") if "xpo_example" in case.values[0].path.parts]


@pytest.mark.parametrize(("option", "check"), OURS)
def test_conformance(option: Option, check: Check):
    check(option.make())


def test_the_kit_found_both_options():
    assert {str(case.values[0]) for case in OURS} == {"divergence=gamma_chi", "feedback=margin_filter"}
