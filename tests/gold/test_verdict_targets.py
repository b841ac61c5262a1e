"""What runs on another annotator's labels end at, and that they are measured by the true reward."""

from __future__ import annotations

import pytest
import torch

from tests.gold.test_verdicts import Circle, Counting, opened, start, worth
from xpo.arity.single import Single
from xpo.feedback.preference import Preference
from xpo.gold.target import kl
from xpo.objective.squared import Squared
from xpo.objective.value_regression import ValueRegression
from xpo.reward.implicit import Implicit
from xpo.stages.source import Policy

__all__ = ["start"]  # the fixture


def test_measured_by_the_true_reward_and_the_labels_optimum(start: Policy) -> None:
    """IPO's optimum is that of the annotator's win rates; the share of r is the world's."""
    ipo = {"objective": Squared(tau=0.5), "reward": Implicit(1.0), "feedback": Preference(soft=True)}
    source = opened(Counting(wins=True), ipo)
    ruler = source.measure(start)
    assert ruler.target is not None
    ref = ruler.ref_logp_XN
    score = torch.tensor([worth(text) for text in source.world.response_texts]).double()
    rate = torch.sigmoid(score[:, None] - score[None, :]) @ ref.exp().T
    assert kl(torch.log_softmax(ref + rate.T / 0.5, 1), ruler.target.logp_XN) < 1e-9
    at_best = ruler.optimum
    assert at_best["gold/gap_closed"] == pytest.approx(1)
    wanted = (ruler.target.logp_XN.exp() * source.world.reward_XN).sum(1).mean()
    assert at_best["gold/reward"] == pytest.approx(float(wanted))


@pytest.mark.parametrize("slope", [1.0, 3.0])
def test_pointwise_probabilities_and_scores_have_the_tilted_reference(start: Policy, slope: float) -> None:
    soft = {"feedback": Preference(soft=True)}
    score = slope * torch.tensor([worth(text) for text in opened(Counting()).world.response_texts]).double()
    for annotator, changed in (
        (Counting(wins=True, slope=slope), soft),
        (Counting(slope=slope), {"objective": ValueRegression(), "arity": Single()}),
    ):
        ruler = opened(annotator, changed).measure(start)
        assert ruler.target is not None
        tilted = torch.log_softmax(ruler.ref_logp_XN + score / 0.5, 1)
        torch.testing.assert_close(ruler.target.logp_XN, tilted, rtol=0, atol=1e-6)


def test_certain_labels_have_no_optimum_and_draws_are_not_asked_about(start: Policy) -> None:
    assert opened(Counting()).measure(start).target is None
    assert opened(Circle(), {"feedback": Preference(soft=True)}).measure(start).target is None
    annotator = Counting()
    assert opened(annotator, mode="sampled").measure(start).target is None
    assert not annotator.asked


def test_asked_once_for_rows_and_ruler(start: Policy) -> None:
    annotator = Counting(wins=True)
    source = opened(annotator, {"feedback": Preference(soft=True)})
    source.rows(start, frozenset({"comparisons"}))
    assert source.measure(start).target is not None and len(annotator.asked) == 3
