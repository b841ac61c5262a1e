"""What the gold world's labeller is told and samples would not show is refused; what they show is not."""

from __future__ import annotations

import pytest

from xpo.compose import Refused, build, compose_config

DRAWN = "annotator.exact=false"
WINS = "reward_form=win_rate"
SOFT = ["feedback=preference", "feedback.soft=true"]


@pytest.mark.parametrize(
    ("arguments", "said", "fix"),
    [
        (["algo=rloo", "annotator.noise=0.4"], "exact=true gives the utilities.*noise is", DRAWN),
        (["algo=rloo", "annotator.scale=2", "annotator.noise=0.1"], "noise and annotator.scale are", DRAWN),
        (["algo=rloo", "annotator.ties=1"], "annotator.ties is not read.*responses=4", "annotator.ties=0"),
        (["algo=rloo", "annotator.intransitivity=1"], "is not read", "annotator.intransitivity=0"),
        (["algo=rloo", DRAWN, "annotator.ties=1"], "annotator.ties is not read", "annotator.ties=0"),
        (["algo=rloo", "sampling.responses=2", "annotator.ties=1"], "exact=true gives", DRAWN),
        (["algo=rloo", "annotator.noise=0.4", "feedback=preference"], "exact=true gives", DRAWN),
        (
            ["algo=rloo", DRAWN, "sampling.responses=2", "feedback=binary", "annotator.ties=1"],
            "is not read",
            "annotator.ties=0",
        ),
        (["algo=raft", "annotator.noise=0.1"], "exact=true gives", DRAWN),
        (["algo=raft", DRAWN, "annotator.ties=1"], "is not read", "annotator.ties=0"),
        (
            ["algo=dpo", "sampling=on_policy", "annotator.exact=true", "annotator.noise=0.1"],
            "exact=true",
            DRAWN,
        ),
    ],
)
def test_what_samples_do_not_show_is_refused(arguments: list[str], said: str, fix: str) -> None:
    with pytest.raises(Refused, match=said) as caught:
        build(compose_config(arguments))
    assert caught.value.nearest == (fix,)
    build(compose_config([*arguments, fix]))


@pytest.mark.parametrize(
    "arguments",
    [
        ["algo=rloo", "annotator.length_bias=0.1"],
        ["algo=rloo", DRAWN, "annotator.noise=0.4", "annotator.scale=2", "annotator.seed=3"],
        ["algo=rloo", "annotator.noise=0.4", "annotator.ties=1", WINS],
        ["algo=rloo", "annotator.intransitivity=1", *SOFT],
        ["algo=rloo", DRAWN, "sampling.responses=2", "annotator.ties=1"],
        ["algo=raft", "annotator.ties=1", WINS],
        ["algo=dpo", "sampling=on_policy", "annotator.noise=0.2"],
        ["algo=dpo", "sampling=on_policy", "annotator.ties=1", "annotator.exact=true", *SOFT],
    ],
    ids=" ".join,
)
def test_what_samples_show_is_accepted(arguments: list[str]) -> None:
    build(compose_config(arguments))
