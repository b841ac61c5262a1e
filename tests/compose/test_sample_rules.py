"""What changes nothing of samples, or cannot be said of them, is refused; what has a meaning is not."""

from __future__ import annotations

import pytest

from xpo.compose import ConfigError, Refused, build, compose_config
from xpo.compose.compat import _alternatives

FILE = ["data=jsonl", "data.path=x"]
SCORED = [*FILE, "annotator.path=x"]
RULE = [*FILE, "annotator=rule", "annotator.rules=[{name: length, most: 5}]"]
SERVED = ["algo=rloo", *RULE, "sampling.server_folder=x"]
PARTS = ["algo=prm_rl", *FILE, "annotator.models=[{path: x}]"]

REFUSED = [
    # samples are chosen by a scorer's numbers
    (["algo=raft", "reward=none"], "chooses by what a scorer says", ("reward=explicit",)),
    (["algo=raft", "reward_form=none"], "chooses by what a scorer says", ("reward_form=pointwise",)),
    (["algo=raft", "reward_level=none"], "chooses by what a scorer says", ("reward_level=response",)),
    (["algo=raft", "reward_level=token"], "chooses by what a scorer says", ("reward_level=response",)),
    # what is left of them is compared
    (["algo=rso", "sampling=best_of_n"], "keeps one of each", ("sampling.keep=4",)),
    (["algo=slic_hf_rank", "sampling.responses=1"], "keeps one of each", ("sampling.responses=4",)),
    (["algo=raft", "feedback=preference"], "keeps one of each", ("sampling.keep=4",)),
    # by somebody who can judge what nobody has seen
    (["algo=rloo", *FILE, "annotator=elo"], "samples are new", None),
    (["algo=raft", *FILE, "annotator=elo"], "samples are new", None),
    (["algo=raft", *FILE, "annotator=human"], "samples are new", None),
    (["algo=ppo", *SCORED, "annotator=preference_model"], "compares a prompt's responses", None),
    (["algo=dpo", "sampling=on_policy", "sampling.responses=1"], "at least 2", ("sampling.responses=4",)),
    # parts of responses are worth what is said of them
    ([*RULE, "algo=rloo", "reward_level=step"], r"parts: annotator=weighted\)", ("reward_level=response",)),
    (["algo=rloo", "annotator=human"], "samples are new", ("annotator=gold",)),
    ([*PARTS, "feedback=binary"], "one number of a whole response", ("feedback=scalar",)),
    ([*PARTS, "sampling.missing_eos=1"], "lowers scores of whole responses", ("sampling.missing_eos=0.0",)),
    (
        [*PARTS, "advantage=group", "critic=none", "arity=list", "sampling.responses=4"],
        "makes no difference where reward_level=step puts it",
        ("reward_level=response",),
    ),
]


@pytest.mark.parametrize(("arguments", "said", "nearest"), REFUSED)
def test_what_has_no_meaning_is_refused(
    arguments: list[str], said: str, nearest: tuple[str, ...] | None
) -> None:
    with pytest.raises(Refused, match=said) as caught:
        build(compose_config(arguments))
    assert nearest is None or caught.value.nearest == nearest


ACCEPTED = [
    ["algo=raft", "sampling.keep=2", "feedback=preference"],
    ["algo=rso", "sampling=best_of_n", "sampling.keep=2"],
    ["algo=dapo", "sampling=reference", "sampling.responses=4", "reference=frozen", "objective.truncation=2"],
    ["algo=rloo", *FILE, "annotator=preference_model", "annotator.path=x", "sampling.responses=2"],
    PARTS,
    # cut part by part, so that places count
    [*PARTS, "advantage=group", "critic=none", "arity=list", "sampling.responses=4", "reward.clip=1"],
    [*PARTS, "advantage=returns", "critic=none", "policy_loss=clip"],
    # what makes up for another law, and what the preset says itself
    ["algo=rloo", "sampling.top_p=0.9", "objective.truncation=2"],
    ["algo=raft", *RULE, "sampling.prompt_template='{prompt}!'", "sampling.top_p=0.9"],
    ["algo=rloo", "divergence=none", "reference=none", "penalty=none"],  # its beta is not the user's
    ["algo=rest", "schedule.rounds=2"],  # nor are its shares
    ["algo=rloo", *RULE, "data.on_long_row=drop"],  # of demonstrations
    [*FILE, "algo=rlhf_instructgpt", "sft=none", "data.max_response_length=99"],  # of the reward model's rows
    ["algo=rloo", *FILE, "annotator=rule", "annotator.rules=[{name: answer}]", "data.format=prompts"],
    ["algo=rso", "reward.beta=0.5", "reference.cache=false"],
    ["algo=ppo", "reward.beta=0.5", "reward.clip=1", "reward.scale=2"],
    ["algo=rloo", *RULE, "feedback=binary", "annotator.threshold=0.5"],
]


@pytest.mark.parametrize("arguments", ACCEPTED)
def test_what_has_a_meaning_is_accepted(arguments: list[str]) -> None:
    build(compose_config(arguments))


def test_a_default_that_no_option_takes_is_an_error() -> None:
    """A preset's value for a key whose file has one of its own would be lost without a word."""
    with pytest.raises(ConfigError, match="hp.annotator.safety.weight is not read.*set annotator.weight"):
        compose_config(["algo=dpo", "+hp.annotator.safety.weight=2"])
    made = compose_config(["algo=safe_rlhf", *FILE, "annotator.helpfulness=x", "annotator.cost=y"])
    assert made["annotator"]["apart"] is True  # the constraint charges costs, and nobody twice


@pytest.mark.parametrize(
    ("setting", "said"),
    [
        ("sampling.server=localhost:8000/v1", "server: url must be like http://127.0.0.1:8000/v1"),
        ("sampling.server=http://me:secret@host/v1", "server: url must have no user"),
        ("sampling.served=other", "served=other is not read: server is null"),
    ],
)
def test_a_server_has_an_address(setting: str, said: str) -> None:
    with pytest.raises(ConfigError, match=said) as caught:
        build(compose_config([*(SERVED if "server=" in setting else SERVED[:-1]), setting]))
    assert "secret" not in str(caught.value)


def test_a_plugin_is_suggested_last() -> None:
    """Not everybody has it."""
    found = list(_alternatives(build(compose_config(["algo=dpo"])), "feedback"))
    of_core = [type(part).__module__.startswith("xpo.") for _, part in found]
    assert of_core == sorted(of_core, reverse=True) and not of_core[-1]
