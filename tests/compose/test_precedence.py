"""Who wins: command line > experiment > data > algo > an option's own values; and nothing leaks."""

import pytest

from xpo.compose import ConfigError, compose_config


def test_a_preset_sets_its_options_and_their_values():
    config = compose_config(["algo=simpo"])
    assert config["length"]["name"] == "mean"
    assert config["reference"]["name"] == "none"
    assert config["reward"]["beta"] == 2.0
    assert config["margin"] == {"name": "constant", "gamma": None, "gamma_beta_ratio": 0.5}


def test_another_option_of_the_same_group_gets_none_of_the_presets_values():
    assert compose_config(["algo=simpo", "margin=none"])["margin"] == {"name": "none"}


def test_a_value_of_the_same_key_does_not_leak_to_another_option():
    js = compose_config(["divergence=js"])["divergence"]
    alpha = compose_config(["divergence=alpha"])["divergence"]
    assert js == {"name": "js"}
    assert set(alpha) == {"name", "alpha"}


@pytest.mark.parametrize("arguments", [["algo=simpo", "reward.beta=7"], ["reward.beta=7", "algo=simpo"]])
def test_the_command_line_beats_the_preset_in_any_order(arguments):
    assert compose_config(arguments)["reward"]["beta"] == 7


def test_the_command_line_beats_what_data_override():
    assert compose_config(["data=gold", "annotator=human"])["annotator"]["name"] == "human"
    assert compose_config(["data=gold"])["annotator"]["name"] == "gold"


def test_the_world_brings_its_optimizer_settings_but_no_method_values():
    assert compose_config(["algo=dpo", "data=gold"])["reward"]["beta"] == 0.1
    assert compose_config(["algo=dpo", "data=gold"])["optimizer"]["lr"] > 1e-3
    assert (
        compose_config(["algo=dpo", "data=jsonl", "data.path=x", "model=hf", "model.path=y"])["optimizer"][
            "lr"
        ]
        == 5e-7
    )


def test_a_preset_that_inherits_wins_over_its_parent():
    assert compose_config(["algo=f_dpo"])["divergence"]["name"] == "js"
    assert compose_config(["algo=f_dpo"])["objective"]["name"] == "logistic"


def test_one_of_two_exclusive_keys_replaces_the_presets_other():
    assert compose_config(["algo=simpo", "margin.gamma=1.5"])["margin"] == {
        "name": "constant",
        "gamma": 1.5,
        "gamma_beta_ratio": None,
    }


@pytest.mark.parametrize(
    ("override", "said"),
    [
        ("+hp.margins.constant.gamma=1", "no group 'margins'"),
        ("+hp.margin.constnt.gamma=1", "Did you mean 'constant'"),
        ("+hp.margin.constant.gama=1", "Did you mean 'gamma'"),
    ],
)
def test_a_preset_value_that_belongs_to_no_option_is_an_error(override, said):
    with pytest.raises(ConfigError, match=said):
        compose_config([override])


def test_a_model_from_scratch_and_an_adapter_bring_their_own_rates():
    own = ["data=jsonl", "data.path=x"]
    whole = [*own, "model=hf", "model.path=y"]
    assert compose_config(own)["optimizer"]["lr"] == 3e-4
    assert compose_config([*whole, "adapter=lora"])["optimizer"]["lr"] == 1e-4
    assert compose_config([*whole, "adapter=lora", "optimizer=adamw"])["optimizer"]["lr"] == 5e-7
