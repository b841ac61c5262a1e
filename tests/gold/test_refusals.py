"""Settings of the gold world's labeller that nothing would read, and annotators that cannot be asked."""

from __future__ import annotations

from typing import Any

import pytest

from xpo.compose import Refused, build, compose_config

SAMPLED = "data.mode=sampled"
RULE = ["annotator=rule", "annotator.rules=[{name: length, most: 2}]"]


@pytest.mark.parametrize(
    ("arguments", "said", "fix"),
    [
        (
            ["algo=spin_step", "reward_level=response", "annotator.ties=0.1"],
            "nobody labels",
            "annotator.ties=0",
        ),
        (["algo=sft", "annotator.length_bias=1"], "nobody labels", "annotator.length_bias=0"),
        (["algo=sft", *RULE], "nobody labels with feedback=demonstration", "annotator=gold"),
        (["algo=kto", "annotator.ties=0.5"], "annotator.ties is not read", "annotator.ties=0"),
        (["algo=kto", SAMPLED, "annotator.intransitivity=1"], "is not read", "annotator.intransitivity=0"),
        (["algo=dro", "annotator.scale=2"], "annotator.scale is not read", "annotator.scale=1"),
        (
            ["algo=infonca", "annotator.ties=1", "annotator.scale=2"],
            "annotator.ties and annotator.scale are",
            "",
        ),
        (["algo=dpo", "annotator.seed=3"], "annotator.seed is not read", "annotator.seed=0"),
        (
            ["algo=pl_dpo", SAMPLED, "annotator.ties=1"],
            "are of pairs: no drawn order of 4",
            "data.responses=2",
        ),
        (["algo=dpo", SAMPLED, "data.responses=3", "annotator.intransitivity=1"], "of 3", "data.responses=2"),
        (["algo=dpo", "feedback.ties=half"], "says no ties", "feedback.ties=drop"),
        (["algo=dpo", SAMPLED, "feedback.ties=half"], "says no ties", "feedback.ties=drop"),
        (["algo=dpo", "feedback.soft=true", "annotator.ties=1"], "exact probability", SAMPLED),
        (["algo=dpo", "annotator.exact=true"], "annotator.exact is not read", "annotator.exact=false"),
        (
            ["algo=dpo", SAMPLED, "annotator.exact=true", "annotator.noise=0.1", "annotator.scale=2"],
            "annotator.noise and annotator.scale are not read",
            "annotator.noise=0",
        ),
        (
            ["algo=kto", SAMPLED, "annotator.exact=true", "annotator.ties=1"],
            "is not read",
            "annotator.ties=0",
        ),
    ],
    ids=lambda x: " ".join(x) if isinstance(x, list) else "",
)
def test_what_has_no_effect_is_refused(arguments: list[str], said: str, fix: str) -> None:
    with pytest.raises(Refused, match=said) as caught:
        build(compose_config(arguments))
    assert fix in " ".join(caught.value.nearest)
    if fix and fix != "annotator=gold":
        build(compose_config([*arguments, *caught.value.nearest]))


@pytest.mark.parametrize(
    "arguments",
    [
        ["algo=dpo", "annotator.ties=1", "annotator.length_bias=-0.2", "annotator.intransitivity=2"],
        ["algo=dpo", "annotator.ties=1", "feedback.ties=half"],
        ["algo=dpo", SAMPLED, "annotator.ties=1", "feedback.ties=half", "annotator.seed=3"],
        ["algo=dpo", SAMPLED, "annotator.intransitivity=1", "data.responses=4", "feedback.soft=true"],
        ["algo=dpo", SAMPLED, "annotator.exact=true", "annotator.length_bias=1"],
        ["algo=dpo", SAMPLED, "annotator.exact=true", "annotator.ties=1", "feedback.soft=true"],
        ["algo=dro", SAMPLED, "annotator.exact=true"],
        ["algo=ipo", "annotator.scale=3", "annotator.noise=0.1"],
        ["algo=kto", "annotator.scale=3", "annotator.length_bias=0.1"],
        ["algo=kto", "feedback=preference", "annotator.ties=0.5"],
        ["algo=dro", SAMPLED, "annotator.scale=3"],
        ["algo=infonca", "annotator.length_bias=0.1", "annotator.noise=0.1"],
        ["algo=step_dpo", "annotator.intransitivity=1", "annotator.ties=0.3"],
        ["algo=dpo", *RULE],
        ["algo=dpo", SAMPLED, *RULE],
        ["algo=dpo", *RULE, "feedback.ties=half"],
        ["algo=step_dpo", *RULE],
        ["algo=lipo", *RULE],
        ["algo=dro", *RULE],
    ],
    ids=" ".join,
)
def test_what_has_a_meaning_is_accepted(arguments: list[str]) -> None:
    build(compose_config(arguments))


@pytest.mark.parametrize("name", ["judge", "constitution"])
def test_who_is_asked_about_every_pair_is_asked_about_drawn_ones(name: str) -> None:
    asked = [f"annotator={name}", "annotator.path=unread"]
    with pytest.raises(Refused, match="asked about every pair") as caught:
        build(compose_config(["algo=dpo", *asked]))
    assert caught.value.nearest == (SAMPLED,)
    build(compose_config(["algo=dpo", *asked, SAMPLED]))
    build(compose_config(["algo=lipo", *asked]))  # lists are drawn anyhow


def test_a_labeller_with_a_preference_for_length_is_what_is_fitted(tmp_path: Any) -> None:
    """The whole run: its optimum is the labels', its reward the world's."""
    from xpo.stages.job import execute

    small = [
        "data.prompts=2",
        "data.symbols=3",
        "data.max_symbols=2",
        f"cache={tmp_path}/cache",
        "sft.steps=60",
    ]
    run = ["algo=dpo", *small, "trainer.steps=150", "reward.beta=0.5"]
    plain, biased = (
        execute(build(compose_config([*run, *more])), tmp_path / str(n))
        for n, more in enumerate(([], ["annotator.length_bias=1.5"]))
    )
    assert plain["gold/gap_closed"] > 0.95 < biased["gold/gap_closed"]
    assert biased["gold/length"] > plain["gold/length"] + 0.3 and biased["gold/reward"] < plain["gold/reward"]
