"""Refusals: each rule refuses what has no meaning, says why, and names a combination that works."""

import pytest

from tests.compose.first_cases import FIRST_CASES
from tests.compose.head_cases import HEAD_CASES
from tests.compose.more_cases import MORE_CASES
from tests.compose.part_cases import PART_CASES
from tests.compose.round_cases import FIXES, MEANT, ROUND_CASES
from tests.compose.sample_cases import SAMPLE_CASES
from tests.compose.test_sample_rules import REFUSED
from xpo.compose import Refused, build, compose_config
from xpo.compose.assembled import assembled
from xpo.compose.rules import RULES

CASES = [
    (["annotator=human"], "needs labels, but data=gold"),
    (["data=jsonl", "data.path=x", "annotator=gold"], "needs gold rewards"),
    (["data=jsonl", "data.path=x", "algo=infonca", "feedback=preference", "feedback.soft=true"], "nothing"),
    (
        [
            "data=jsonl",
            "data.path=x",
            "annotator=rule",
            "annotator.rules=[{name: length}]",
            "feedback.soft=true",
        ],
        "reads win probabilities, and annotator=rule gives",
    ),
    (
        ["data=jsonl", "data.path=x", "annotator=rule", "annotator.threshold=1"]
        + ["annotator.rules=[{name: length, most: 5}]"],
        "reads no such labels",
    ),
    (["reward=none"], "eats a reward"),
    (["algo=sft", "reward=implicit"], "eats no reward"),
    (["algo=sft", "divergence=js"], "divergence=js"),
    (["algo=sft", "reference=frozen"], "reference=frozen"),
    (["algo=sft", "length=mean"], "length=mean"),
    (["algo=sft", "sft=separate"], "twice"),
    (["algo=sft", "polarity=negative"], "polarity=negative"),
    (["feedback=binary"], "needs comparisons"),
    (["arity=single"], "needs comparisons"),
    (["feedback=scalar"], "exact expectations"),
    (["algo=dro", "arity=pair"], "would change nothing"),
    (["algo=dro", "sft=merged"], "exact expectations"),
    (["algo=dro", "critic=none"], "prompt_value_B of a critic"),
    (["algo=dro", "critic=q_and_v"], "prompt_value_B of a critic"),
    (["algo=dro", "reward=explicit"], "nothing would change"),
    (["algo=dro", "polarity=negative"], "builds none"),
    (["algo=dro", "label_noise=flips"], "nothing would change"),
    (["algo=dro", "margin=constant"], "reads no margin"),
    (["algo=dpo", "critic=value"], "reads no critic"),
    (["algo=ilql", "critic=value"], "of a critic"),
    (["algo=ilql", "reward.beta=0.5"], "fixes the scale"),
    (["algo=ilql", "reward_level=response"], "only shapes a reward"),
    (["algo=ilql", "reward_level=none"], "to its tokens"),
    (["algo=ilql", "reward_form=pairwise"], "only shapes a reward"),
    (["algo=ilql", "reference=frozen"], "only shapes a reward"),
    (["algo=ilql", "sft=merged"], "train it twice"),
    (["algo=kto", "feedback=binary", "arity=pair"], "without comparisons"),
    (["data.records=5"], "is not read"),
    (["algo=kto", "length=shared_length"], "one response a row"),
    (["algo=sft", "arity=list"], "no row would be left"),
    (["reward_level=none"], "makes every reward 0"),
    (["reward_form=none"], "has a form"),
    (["reward_form=pairwise"], "would change nothing"),
    (["algo=ipo", "reward_form=pointwise"], "would change nothing"),
    (["algo=kto", "reward=explicit"], "nothing would change"),
    (["algo=pro", "reward=implicit", "reward_form=pointwise"], "scores of an explicit reward"),
    (["divergence=chi2"], "cannot be used off-policy"),
    (["divergence=total_variation"], "cannot be used off-policy"),
    (["algo=simpo", "divergence=total_variation"], "cannot be used off-policy"),
    (["algo=kto", "divergence=js"], "reward differences"),
    (["algo=orpo", "divergence=js"], "reward differences"),
    (["algo=pro", "divergence=alpha"], "reward differences"),
    (["algo=ipo", "reward.beta=0.3"], "fixes the scale"),
    (["algo=orpo", "reference=frozen"], "log-probability"),
    (["algo=orpo", "length=penalty"], "log-probability"),
    (["algo=kto", "margin=constant"], "reads no margin"),
    (["margin=drop", "polarity=negative"], "margin=drop reads its reward"),
    (["margin=drop", "divergence=js"], "margin=drop declares"),
    (["margin=data", "feedback=contrast"], "margin=data needs margins"),
    (["margin=score_ratio"], "margin=score_ratio takes the logarithm"),
    (["algo=orpo", "polarity=negative"], "builds none"),
    (["divergence=js", "polarity=negative"], "does not cancel"),
    (["reduce=tokens"], "no sum over tokens"),
    (["reference=base"], "switched off"),
    (["reference=previous"], "has one round"),
    (["schedule=iterative", "schedule.rounds=3", "trainer.steps=2"], "each needs one"),
    (["sft=parallel", "adapter=lora", "adapter.merge=false"], "adapter.merge=false has nothing"),
    (["algo=ipo", "weighting=batch_beta", "data.mode=sampled"], "fixes the scale"),
    (["algo=sft", "weighting=on_policy_likelihood"], "weighs comparisons and labels"),
    (["algo=unlikelihood", "weighting=log_mean_exp", "reduce=tokens", "data.mode=sampled"], "by tokens"),
    (["algo=pro", "reward_form=pairwise"], "does not read"),
    (["algo=infonca", "arity=single", "feedback=scalar", "data.mode=sampled"], "one response a row"),
    (["algo=aot", "reference=none"], "has none"),
    (["algo=aot", "weighting=log_mean_exp"], "matches the rows"),
    (["algo=pl_dpo", "label_noise=smoothing"], "how surely"),
    (["algo=pl_dpo", "reward=explicit", "reward.scale=2"], "leaves as it is"),
    (["algo=pl_dpo", "weighting=on_policy_likelihood"], "how much a comparison counts"),
    (
        ["algo=kto", "arity=pair", "feedback=preference", "weighting=density_ratio", "data.mode=sampled"],
        "whole",
    ),
    (["algo=sft", "label_noise=flips"], "nothing would change"),
    (["algo=sft", "weighting=on_policy_likelihood"], "weighs comparisons and labels"),
    (["algo=pro", "weighting=on_policy_likelihood"], "weighs comparisons and labels"),
    (["algo=cringe", "sft=merged"], "train it twice"),
    (["algo=cringe", "reference=frozen"], "only shapes a reward"),
    (["algo=tdpo1", "reference=none"], "has none"),
    (["reference=none", "anchor=retain_kl"], "has none"),
    (["algo=exo", "data=jsonl", "data.path=x", "label_noise=none"], "certain"),
    (["algo=exo", "data.mode=sampled", "label_noise=none"], "certain"),
    (["algo=d2o", "label_noise=flips"], "not linear in the masses"),
    (["algo=ipo", "reward_form=win_rate"], "a scorer's labels"),
    (["algo=infonca", "arity=single"], "gives one response a row"),
    (["algo=pl_dpo", "label_noise=smoothing"], "changes only how surely"),
    (["algo=pl_dpo", "reward=explicit", "reward.scale=2.0"], "leaves as it is"),
    (["algo=pl_dpo", "weighting=on_policy_likelihood"], "how much a comparison counts"),
    (["algo=pl_dpo", "data.mode=population"], "have to be drawn"),
    *HEAD_CASES,
    *FIRST_CASES,
    *PART_CASES,
    *SAMPLE_CASES,
    *ROUND_CASES,
]


@pytest.mark.parametrize(
    ("arguments", "said"), CASES, ids=lambda x: " ".join(x) if isinstance(x, list) else ""
)
def test_a_combination_without_meaning_is_refused_with_a_nearest_that_works(arguments, said):
    with pytest.raises(Refused, match=said) as caught:
        build(compose_config(arguments))
    assert caught.value.nearest, "no nearest combination"
    build(compose_config([*_without(arguments, caught.value.nearest), *caught.value.nearest]))


def _without(arguments: list[str], nearest: tuple[str, ...]) -> list[str]:
    changed = {item.split("=")[0] for item in nearest}
    kept = [argument for argument in arguments if argument.split("=")[0] not in changed]
    return [argument for argument in kept if argument.split(".")[0] not in changed]  # another option's keys


def test_every_rule_refuses_something():
    """A rule that never fires is dead: each one is the first to object to some case."""
    from xpo.compose.composition import instantiate

    fired = set()
    for arguments in (*(case[0] for case in (*CASES, *REFUSED)), *MORE_CASES):
        composition = instantiate(assembled(arguments))
        fired |= {rule.__name__ for rule in RULES if rule(composition) is not None}
    assert fired == {rule.__name__ for rule in RULES}


@pytest.mark.parametrize(
    "arguments",
    [
        ["algo=simpo", "divergence=js"],
        ["algo=simpo", "divergence=alpha"],
        ["divergence=js", "reward_level=token"],
        ["reward_level=token"],
        ["algo=simpo", "reward_level=token"],
        ["weighting=on_policy_likelihood", "objective=hinge"],
        ["algo=kto", "weighting=on_policy_likelihood"],
        ["algo=cringe", "weighting=on_policy_likelihood"],
        ["algo=cringe", "sft=none"],
        ["algo=cringe", "reduce=rows"],
        ["reward=explicit"],
        ["reward=explicit", "reward_form=pairwise"],
        ["polarity=negative"],
        ["arity=list"],
        ["reference=none"],
        ["algo=ipo", "divergence=hellinger"],
        ["algo=ipo", "length=sum"],
        ["algo=kto", "feedback=preference", "arity=pair"],
        ["algo=orpo", "arity=list"],
        ["algo=pro", "sft=none"],
        ["sft=merged"],
        ["adapter=lora", "reference=base"],
        ["objective=hinge"],
        ["margin=constant"],
        ["length=penalty"],
        ["length=shared_length"],
        ["algo=rloo", "divergence=js"],
        ["algo=rloo", "penalty.form=token", "divergence=alpha"],
        ["algo=grpo", "penalty=reward"],
        ["algo=grpo", "penalty.estimator=link", "divergence=js"],
        ["algo=grpo", "divergence=chi2"],
        ["algo=ppo", "sampling.responses=4", "arity=list"],
        ["algo=ppo", "schedule.epochs=2", "objective.stop_kl=0.1", "objective.entropy=0.01"],
        ["algo=ppo", "sft=merged"],
        ["algo=rloo", "polarity=negative"],
        ["algo=rloo", "length=penalty"],
        ["algo=rloo", "feedback=binary"],
        ["algo=rloo", "feedback=preference", "reward_form=win_rate"],
        ["algo=rloo", "advantage=group", "reduce=responses", "policy_loss=clip"],
        ["algo=rloo", "reference=ema"],
        ["algo=rso", "sampling=on_policy", "objective=logistic"],
        ["algo=raft", "schedule=offline"],
        ["algo=dpo", "sampling=on_policy"],
        *MEANT,
    ],
    ids=" ".join,
)
def test_a_combination_with_a_meaning_is_accepted(arguments):
    build(compose_config(arguments))


@pytest.mark.parametrize(("arguments", "fix"), FIXES, ids=lambda x: x if isinstance(x, str) else " ".join(x))
def test_the_nearest_leaves_what_was_asked(arguments, fix):
    with pytest.raises(Refused) as caught:
        build(compose_config(arguments))
    assert " ".join(caught.value.nearest) == fix


def test_refusals_name_no_preset_and_survive_renaming_it(monkeypatch):
    """The verdict is derived from declarations: under another name it is the same."""
    config = compose_config(["algo=kto", "divergence=js"])
    config["algo"] = {**config["algo"], "name": "renamed"}
    with pytest.raises(Refused, match="reward differences"):
        build(config)
