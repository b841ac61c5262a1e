"""What combines with losses that read labels' shares, win rates, or rewards on their own."""

from __future__ import annotations

import pytest

from xpo.compose import Refused, build, compose_config


@pytest.mark.parametrize(
    "arguments",
    [
        ["algo=npo", "sft=none", "anchor=retain_kl"],
        ["algo=npo", "polarity=both"],
        ["algo=npo", "feedback=preference", "arity=pair"],
        ["algo=d2o", "polarity=negative"],
        ["algo=d2o", "data.mode=population", "feedback=preference", "arity=pair"],
        ["algo=exo", "label_noise=none"],
        ["algo=exo", "data=jsonl", "data.path=x", "label_noise=none", "reward=explicit"],
        ["algo=exo", "arity=list", "divergence=js", "margin=constant"],
        ["algo=sppo_pair", "reward=explicit", "arity=list"],
        ["algo=sppo_pair", "label_noise=flips"],
        ["algo=dno_pair", "divergence=hellinger"],
        ["algo=ipo", "reward=explicit", "reward_form=win_rate"],
        ["algo=apo_down", "polarity=negative"],
        ["algo=cal_dpo", "length=mean"],
        ["algo=unlikelihood", "reduce=rows", "arity=pair", "feedback=preference"],
    ],
    ids=" ".join,
)
def test_what_has_a_meaning_is_accepted(arguments: list[str]) -> None:
    build(compose_config(arguments))


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["algo=cal_dpo", "reward.beta=0.1"], "fixes the scale"),
        (["algo=nca", "margin=constant"], "reads no margin"),
        (["algo=nca", "divergence=js"], "reward differences"),
        (["algo=cal_dpo", "divergence=js"], "reward differences"),
        (["algo=apo_down", "divergence=alpha"], "reward differences"),
        (["algo=apo_zero", "divergence=js"], "reward differences"),
        (["algo=sppo_pair", "divergence=js"], "reward differences"),
        (["algo=sppo_pair", "polarity=negative"], "builds none"),
        (["algo=npo", "divergence=js"], "reward differences"),
        (["algo=unlikelihood", "sft=merged"], "twice"),
        (["algo=unlikelihood", "polarity=negative"], "only shapes a reward"),
        (["algo=exo", "label_noise=flips"], "not linear in the masses"),
        (["algo=dno_pair", "reward=implicit"], "would change nothing"),
    ],
    ids=lambda x: " ".join(x) if isinstance(x, list) else "",
)
def test_what_has_none_is_refused(arguments: list[str], said: str) -> None:
    with pytest.raises(Refused, match=said):
        build(compose_config(arguments))


RULE = ["data=jsonl", "data.path=x", "annotator=rule", "annotator.rules=[{name: length}]"]


def test_a_threshold_that_no_feedback_reads_is_refused() -> None:
    build(compose_config(["algo=kto", *RULE, "annotator.threshold=2"]))
    build(compose_config(["algo=dpo", *RULE]))
    with pytest.raises(Refused, match="annotator.threshold of annotator=rule .* reads no such") as caught:
        build(compose_config(["algo=dpo", *RULE, "annotator.threshold=2"]))
    assert caught.value.nearest == ("annotator.threshold=null",)
