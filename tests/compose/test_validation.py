"""Every key is read, typed and in range, or the run is refused with what is allowed."""

import pytest

from xpo.compose import ConfigError, build, compose_config
from xpo.compose.assembled import assembled
from xpo.compose.compose import option_files
from xpo.compose.groups import GROUPS

ASKED = ["annotator.path=x"]  # a judge
NEEDS_A_VALUE = {
    **{f"annotator={name}": ASKED for name in ("constitution", "direct", "judge")},
    **{f"annotator={name}": ["annotator.path=x"] for name in ("preference_model", "reward_model")},
    "annotator=implicit": ["annotator.run=x"],
    "annotator=rule": ["annotator.rules=[{name: length, most: 5}]"],
    "annotator=weighted": ["annotator.models=[{path: x, weight: 1.0}]"],
    "annotator=safety": ["annotator.helpfulness=x", "annotator.cost=y"],
    "model=hf": ["model.path=x"],
    "data=jsonl": ["data.path=x"],
    "reference=model": ["reference.path=x"],
    "reference=adapter": ["reference.path=x"],
}


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["algo=dpop2"], "algo=dpop2: no such option.*Did you mean 'dpop'"),
        (["divergence=jss"], "Did you mean 'js'.*divergence has: "),
        (["nonsense=1"], "no group or key 'nonsense'"),
        (["margin.gama=1"], "margin.gama"),
        (["algo=simpo", "+margin.gama=1"], "nothing reads margin.gama.*Did you mean margin.gamma"),
        (["+reward.betta=1"], "Did you mean reward.beta"),
        (["+sed=1"], "nothing reads the key 'sed'.*Did you mean 'seed'"),
        (["reward.beta=abc"], "reward.beta must be a number, got 'abc'"),
        (["reward.beta=true"], "reward.beta must be a number"),
        (["trainer.steps=1.5"], "trainer.steps must be a whole number or null"),
        (["trainer.precision=fp64"], "must be one of fp32, bf16, got 'fp64'"),
        (["reward.beta=-1"], "beta must be above 0 and finite, got -1"),
        (["reward.beta=nan"], "beta must be above 0 and finite, got nan"),
        (["divergence=alpha", "divergence.alpha=1.5"], "alpha"),
        (["seed=-1"], "seed must be from 0"),
        (["seed=abc"], "seed must be a whole number"),
        (["algo=simpo", "margin.gamma=1", "margin.gamma_beta_ratio=1"], "exactly one of gamma"),
        (["model=hf"], "model.path is not set"),
        (["reward.name=os.system"], "no component of that name"),
        (["~algo.title"], "algo has no title: presets say name, title, paper"),
        (["~seed"], "seed must be a whole number"),
        (["cache=null"], "cache must be a folder"),
        (["cache="], "cache must be a folder"),
        (["trainer.threads=100000000"], "threads must be at most 1024"),
        (["logger=many", "logger.loggers=[]"], "loggers must name at least one of csv"),
        (["~divergence"], "an option of every group"),
        (["divergence="], "divergence=: an option is missing.*divergence has: alpha"),
        (["divergence=null"], "divergence=null: an option is missing"),
        (["algo=null"], "algo has: a2c"),
        (["algo=[dpo,ipo]"], "-m algo=a,b"),
        (["divergence=[js,alpha]"], "one option of a group at a time"),
        (["experiment=foo"], "experiment=foo: no such option.*hh_dpo"),
        (["algo=pro", "sft.steps=2"], "sft=separate has"),
    ],
)
def test_a_wrong_value_is_named_with_what_is_allowed(arguments, said):
    with pytest.raises(ConfigError, match=said):
        build(compose_config(arguments))


@pytest.mark.parametrize("group", GROUPS)
def test_every_option_file_makes_its_component_from_its_own_values(group):
    from xpo.compose.composition import instantiate

    assert option_files(group), group
    for option in option_files(group):
        extra = NEEDS_A_VALUE.get(f"{group}={option}", [])
        config = compose_config([f"{group}={option}", *extra])
        assert instantiate(config).components()[group] is not None
        assert assembled([f"{group}={option}", *extra]) == config


def test_no_key_of_a_component_is_missing_from_its_option_file():
    from xpo import registry

    for group in GROUPS:
        for option in option_files(group):
            node = assembled([f"{group}={option}", *NEEDS_A_VALUE.get(f"{group}={option}", [])])[group]
            keys = set(registry.fields(registry.component(group, node["name"])))
            assert keys == set(node) - {"name"}, f"{group}={option}"


@pytest.mark.parametrize(("text", "value"), [("1e-3", 0.001), ("5e-7", 5e-7), ("1", 1.0)])
def test_numbers_are_read_as_a_user_writes_them(text, value):
    assert build(compose_config([f"reward.beta={text}"])).reward.beta == value
