"""Every preset, the plugins' included, as a whole run of two steps: files, fast path, finite numbers."""

import json
import math

import pytest
import torch

from xpo.compose import Refused, build, compose_config, presets
from xpo.compose.groups import AXES
from xpo.errors import UserError
from xpo.stages.belongs import check_same_run
from xpo.stages.job import execute


@pytest.fixture(scope="module")
def shared_cache(tmp_path_factory):
    return tmp_path_factory.mktemp("cache")


def two_steps(preset):
    """Two steps of every stage that the preset has, or one for each of its rounds."""
    config = compose_config([f"algo={preset}"])
    shorter = [f"{group}.steps=2" for group in ("sft", "pretraining") if "steps" in config[group]]
    steps = max(2, config["schedule"].get("rounds", 1))
    return [f"trainer.steps={steps}", "trainer.log_every=1", f"algo={preset}", *shorter]


DRAWN_FOR_SPEED = {"aot"}  # a population has 500,000 pairs to sort in every step: exact, a second each


SPECIAL = (("reward", "head"), ("objective", "policy_gradient"))
PARTS = ("step", "span")
ROLLOUTS = ("online", "refreshed")


def samples(config):
    return config["sampling"]["name"] != "off_policy"


def refusal(preset, mode, config):
    """What is said of a mode that a preset has no use for."""
    own = compose_config([f"algo={preset}"])["data"]["mode"]
    if mode == "population" and own != mode and preset not in DRAWN_FOR_SPEED:
        return "data.mode=population"
    if mode == "sampled" and samples(config):
        return "sampling draws the responses"
    if mode == "sampled" and config["reward"]["name"] == "head" and config["reward_level"]["name"] in PARTS:
        return "the gold world draws pairs of steps"
    return None


@pytest.mark.parametrize("preset", presets())
@pytest.mark.parametrize("mode", ["population", "sampled"])
def test_two_steps(preset, mode, tmp_path, shared_cache):
    config = compose_config([*two_steps(preset), f"data.mode={mode}", f"cache={shared_cache}"])
    refused = refusal(preset, mode, config)
    if refused is not None:
        with pytest.raises(Refused, match=refused):
            build(compose_config([f"algo={preset}", f"data.mode={mode}"]))
        return
    head, gradient = (config[g]["name"] == name for g, name in SPECIAL)
    of_parts = head and config["reward_level"]["name"] in PARTS
    if mode == "sampled" or (samples(config) and config["schedule"]["name"] not in ROLLOUTS):
        config["data"]["records"] = 64
    if samples(config):
        config["sampling"]["responses"] = min(config["sampling"]["responses"], 12)
    if "budget" in config["query"]:
        config["query"]["budget"] = 8
    metrics = execute(build(config), tmp_path)
    assert metrics and all(math.isfinite(value) for value in metrics.values())
    own = {"gold/reward", "gold/reward_share"}
    if head:
        own = {"gold/step_accuracy" if of_parts else "gold/spearman"}
    assert own <= set(metrics) and ("eval/loss" in metrics) == (config["schedule"]["name"] not in ROLLOUTS)

    manifest = json.loads((tmp_path / "manifest.json").read_text())
    assert manifest["scoring"]["path"] == "shared", "a Llama-shaped run fell back to the plain path"
    assert set(manifest["axes"]) == set(AXES)
    assert {stage["name"] for stage in manifest["stages"]} >= {"load", "sft", "align", "export"}
    assert all(stage["status"] in ("done", "skipped") for stage in manifest["stages"])

    summary = json.loads((tmp_path / "summary.json").read_text())
    assert summary["status"] == "done" and summary["metrics"] == pytest.approx(metrics)
    lines = [json.loads(line) for line in (tmp_path / "metrics.jsonl").read_text().splitlines()]
    steps = config["trainer"]["steps"] // build(config).schedule.rounds  # of the first round
    aligned = [line for line in lines if line["stage"] == "align"]
    assert [line["step"] for line in aligned] == [*range(steps + 1), steps]
    if gradient:
        check_rollouts(aligned[1])
    told = "scores.jsonl" if head else "samples.jsonl"
    for name in ("config.yaml", told, "model/README.md", "model/config.json"):
        assert (tmp_path / name).is_file(), name


def check_rollouts(line):
    """What the first step of a policy gradient logs: its phases, its samples, who drew them."""
    assert all(line[f"time/{phase}"] >= 0 for phase in ("sample", "annotate", "score", "update"))
    assert 0 < line["rollout/length"] <= 4 and line["rollout/finished"] == 1
    assert 0 <= line["rollout/sampler_gap"] < 1e-5, "the sampler is the policy, as its scoring pass sees it"
    assert line["policy/kl_to_old"] == pytest.approx(0, abs=1e-9)


def test_the_card_of_a_run_says_every_setting(tmp_path, shared_cache):
    execute(build(compose_config([*two_steps("dpo"), f"cache={shared_cache}", "reward.beta=0.25"])), tmp_path)
    card = (tmp_path / "model" / "README.md").read_text()
    for row in ("| reward.beta | 0.25 |", "| sft.lr | 0.003 |", "| trainer.deterministic | true |"):
        assert row in card
    assert "| reward.name" not in card and "| hp." not in card


def test_an_exported_model_is_the_next_runs_start(tmp_path, shared_cache):
    config = compose_config([*two_steps("dpo"), f"cache={shared_cache}"])
    first = execute(build(config), tmp_path / "first")
    again = compose_config(
        [*two_steps("dpo"), "model=hf", f"model.path={tmp_path / 'first' / 'model'}", f"cache={shared_cache}"]
    )
    again["sft"] = {"name": "none"}
    second = execute(build(again), tmp_path / "second")
    lines = [json.loads(line) for line in (tmp_path / "second" / "metrics.jsonl").read_text().splitlines()]
    assert lines[0]["gold/reward"] == pytest.approx(first["gold/reward"], abs=1e-6)
    assert second["gold/kl"] > 0


def test_a_finished_run_is_not_run_again(tmp_path, shared_cache, capsys):
    config = compose_config([*two_steps("dpo"), f"cache={shared_cache}"])
    first = execute(build(config), tmp_path)
    stamp = (tmp_path / "metrics.jsonl").read_text()
    assert execute(build(config), tmp_path) == pytest.approx(first)
    assert (tmp_path / "metrics.jsonl").read_text() == stamp
    assert "finished already" in capsys.readouterr().out


def test_a_folder_of_another_config_is_not_taken_up(tmp_path, shared_cache):
    cache = f"cache={shared_cache}"
    first = compose_config([*two_steps("dpo"), cache])
    execute(build(first), tmp_path)
    execute(build(compose_config([*two_steps("dpo"), cache, "trainer.log_every=7"])), tmp_path)
    with pytest.raises(UserError, match="seed was 0, is 5; divergence was reverse_kl, is js.*resume=never"):
        execute(build(compose_config([*two_steps("dpo"), cache, "seed=5", "divergence=js"])), tmp_path)
    half = tmp_path / "half"
    (half / "checkpoints" / "sft").mkdir(parents=True)
    (half / "config.yaml").write_text((tmp_path / "config.yaml").read_text())
    longer = compose_config([*two_steps("dpo"), cache, "trainer.steps=3"])
    check_same_run(longer, half)  # nothing was trained there yet
    (half / "checkpoints" / "sft" / "step-00000001.ckpt").touch()
    check_same_run(first, half)
    with pytest.raises(UserError, match="trainer.steps was 2, is 3"):
        check_same_run(longer, half)


def test_the_cache_must_be_a_folder_before_anything_is_trained(tmp_path):
    (tmp_path / "file").touch()
    config = compose_config([*two_steps("dpo"), f"cache={tmp_path / 'file'}"])
    with pytest.raises(UserError, match="cannot write .* with cache=<folder>"):
        execute(build(config), tmp_path / "out")
    assert not (tmp_path / "out" / "metrics.jsonl").exists()


def test_the_seed_decides_everything(tmp_path):
    def weights(name, seed):
        config = compose_config([*two_steps("dpo"), f"seed={seed}", f"cache={tmp_path / name / 'cache'}"])
        execute(build(config), tmp_path / name)
        from safetensors.torch import load_file

        return load_file(tmp_path / name / "model" / "model.safetensors")

    one, same, other = weights("a", 1), weights("b", 1), weights("c", 2)
    assert all(torch.equal(one[key], same[key]) for key in one)
    assert not all(torch.equal(one[key], other[key]) for key in one)


def test_a_loss_that_is_no_number_ends_the_run(tmp_path, shared_cache):
    config = compose_config([*two_steps("ipo"), f"cache={shared_cache}", "objective.tau=1e-30"])
    with pytest.raises(UserError, match=r"training \(align\) step 1: the loss is inf. Lower optimizer.lr"):
        execute(build(config), tmp_path)
    assert not (tmp_path / "model").exists()
