"""The kit's own parts: options from yaml, variants of fields, the toy batch."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import ClassVar

import pytest
import torch

from xpo.compose.typed import WrongType
from xpo.objective.logistic import Logistic
from xpo.objective.policy_gradient import PolicyGradient
from xpo.objective.prospect import Prospect
from xpo.on_policy.arrow import OnPolicy
from xpo.sft.merged import Merged
from xpo.testing import Option, checks_for, failures, options, toy
from xpo.testing.tools import variants


def option(tmp_path: Path, text: str) -> Option:
    path = tmp_path / "mine.yaml"
    path.write_text(text)
    return Option("length", path)


def test_options_resolve_their_defaults(tmp_path: Path):
    assert option(tmp_path, "name: penalty\nalpha: ${hp:0.25}\n").make().alpha == 0.25


def test_a_file_that_does_not_fit_its_component(tmp_path: Path):
    with pytest.raises(AssertionError, match=r"sets \['gamma'\], which Penalty does not have"):
        option(tmp_path, "name: penalty\ngamma: 1.0\n").make()
    with pytest.raises(WrongType, match="must be a number"):
        option(tmp_path, "name: penalty\nalpha: much\n").make()
    with pytest.raises(KeyError, match="no component 'nowhere'"):
        option(tmp_path, "name: nowhere\n").make()


def test_every_core_option_of_a_group_is_found():
    found = {str(option) for option in options("length", "reduce")}
    assert {"length=sum", "length=mean", "length=penalty", "length=shared_length", "reduce=rows"} <= found


def test_every_field_has_a_variant():
    assert {field for field, _ in variants(Merged())} == {field.name for field in dataclasses.fields(Merged)}
    assert all(other != Prospect() for _, other in variants(Prospect()))


def test_groups_without_checks_of_their_own_have_the_common_ones():
    assert checks_for("schedule") == checks_for("sampling") != checks_for("length")


def test_failures_say_what_is_wrong():
    class Shapeless:
        pass

    assert failures(Shapeless(), "schedule")[0] == "is_a_frozen_dataclass: Shapeless is no frozen dataclass"


def test_the_toy_batch_is_ragged_and_its_masses_sum_to_1():
    t = toy()
    batch = t.batch
    assert batch.prefer_BKK is not None and batch.good_BK is not None and batch.bad_BK is not None
    assert not batch.present_BK.all() and batch.present_BK.any(1).all()
    for mass in (batch.prefer_BKK.sum((1, 2)), (batch.good_BK + batch.bad_BK).sum(1)):
        torch.testing.assert_close(mass, torch.ones_like(mass))
    assert t.rows([2, 1]).batch.index_B.tolist() == [2, 1]


class LiesOfRows(Logistic):
    """A loss of given rows that says it is a gradient of samples."""

    policy_gradient: ClassVar[bool] = True


class LiesOfSamples(PolicyGradient):
    """A gradient of samples that says it is a loss of given rows."""

    policy_gradient: ClassVar[bool] = False


class ReadsScores(PolicyGradient):
    """Asks for rows that nobody gives."""

    needs: ClassVar[frozenset[str]] = frozenset({"scores"})


def test_an_objective_without_a_loss_of_rows_has_checks_of_its_own():
    own = checks_for("objective", PolicyGradient())
    assert own != checks_for("objective") == checks_for("objective", Logistic())
    assert failures(PolicyGradient(), "objective", own) == []
    liars = {LiesOfRows: "given rows have a loss", LiesOfSamples: "no loss of given rows"}
    for liar, said in {**liars, ReadsScores: "about losses of given rows"}.items():
        assert any(said in failure for failure in failures(liar(), "objective")), liar


@pytest.mark.parametrize(
    ("name", "broken", "said"),
    [
        ("_drawn", lambda self, known, mask_BKT: known.advantage * 0 + 1, "truncation changes nothing"),
        (
            "_reduced",
            lambda self, loss_BKT, batch: -_REDUCED(self, loss_BKT, batch),
            "not the policy gradient",
        ),
        (
            "_reduced",
            lambda self, loss_BKT, batch: _REDUCED(self, loss_BKT.detach(), batch),
            "not the policy",
        ),
    ],
    ids=["unweighed", "sign", "detached"],
)
def test_an_arrow_that_is_no_gradient_is_caught(monkeypatch, name, broken, said):
    monkeypatch.setattr(OnPolicy, name, broken)
    assert any(said in failure for failure in failures(PolicyGradient(), "objective"))


_REDUCED = OnPolicy._reduced
