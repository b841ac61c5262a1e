"""Runs of two branches and their merge: what is measured and exported, what is trained again and what not."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor

from tests.stages.tiny import SIZES, run_here, summary, weights, write_lists
from xpo.stages import parallel
from xpo.stages import sft as sft_stage

LORA = ("adapter=lora", "adapter.r=2", "adapter.alpha=3")
SETTINGS = {
    "linear": ("sft.sft_weight=3",),
    "task_arithmetic": ("sft.sft_weight=0.5", "sft.align_weight=2"),
    "ties": ("sft.density=0.6",),
    "dare_ties": ("sft.density=0.6", "sft.align_weight=0.5"),
    "slerp": ("sft.t=0.25",),
}


def overrides(folder: Path, *more: str) -> list[str]:
    data = write_lists(folder / "lists.jsonl")
    return [
        "algo=paft",
        f"data.path={data}",
        *SIZES,
        "sft.steps=2",
        "sft.batch_size=8",
        "sft.lr=0.05",
        "sft.threshold=1e-4",
        "trainer.steps=2",
        "trainer.threads=1",
        f"cache={folder / 'cache'}",
        *more,
    ]


def stages(out: Path) -> dict[str, Any]:
    """The last record of each stage."""
    return {stage["name"]: stage for stage in json.loads((out / "manifest.json").read_text())["stages"]}


def logged(out: Path) -> list[dict[str, Any]]:
    """metrics.jsonl without what the clock says; what a resumed run measures again stands there once."""
    lines = [json.loads(line) for line in (out / "metrics.jsonl").read_text().splitlines()]
    plain = [{k: v for k, v in line.items() if k not in ("time", "rows_per_second")} for line in lines]
    return [line for n, line in enumerate(plain) if line not in plain[:n]]


def aligned(out: Path) -> dict[str, Tensor]:
    """The weights that the aligned branch ended with, from its last checkpoint."""
    (path,) = (out / "checkpoints").glob("*.ckpt")
    state = torch.load(path, weights_only=True)["state_dict"]
    return {k.removeprefix("policy."): v for k, v in state.items() if k.startswith("policy.")}


def products(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """alpha / r B A by the plain weight's name."""
    found = {}
    for name, b in state.items():
        if ".lora_B." in name:
            a = state[name.replace(".lora_B.", ".lora_A.")]
            plain = name.removeprefix("base_model.model.").replace(".lora_B.default", "")
            found[plain] = 3 / 2 * b @ a
    return found


def deltas(out: Path, folder: Path, lora: bool) -> tuple[dict[str, Tensor], dict[str, tuple[Tensor, Tensor]]]:
    """The base's weights, and both branches' deltas by weight, from what lies on disk."""
    branch = load_file(stages(out)["sft_branch"]["weights"])
    (path,) = [p for p in (folder / "cache" / "sft").glob("*.safetensors") if ".branch." not in p.name]
    base, other = load_file(path), aligned(out)
    base["model.embed_tokens.weight"] = base.pop("lm_head.weight")  # tied: a file holds either name
    if lora:
        one, two = products(branch), products(other)
        return base, {name: (one[name], two[name]) for name in one}
    return base, {name: (branch[name] - base[name], other[name] - base[name]) for name in branch}


def by_numpy(method: str, sft: np.ndarray, align: np.ndarray) -> np.ndarray:
    """The merges without chance, of pruned deltas, with the settings above."""
    if method == "linear":
        return (3 * sft + align) / 4
    if method == "task_arithmetic":
        return 0.5 * sft + 2 * align
    if method == "slerp":
        norms = np.linalg.norm(sft), np.linalg.norm(align)
        if 0 in norms or abs(cosine := float((sft * align).sum() / norms[0] / norms[1])) > 0.9995:
            return 0.75 * sft + 0.25 * align
        angle = np.arccos(cosine)
        return (np.sin(0.75 * angle) * sft + np.sin(0.25 * angle) * align) / np.sin(angle)
    kept = [delta * _largest(delta) for delta in (sft, align)]
    sign = np.where(kept[0] + kept[1] >= 0, 1.0, -1.0)
    agree = [np.sign(delta) == sign for delta in kept]
    return (kept[0] * agree[0] + kept[1] * agree[1]) / np.maximum(agree[0].astype(int) + agree[1], 1)


def _largest(delta: np.ndarray) -> np.ndarray:
    order = np.argsort(-np.abs(delta), axis=None, kind="stable")[: int(0.6 * delta.size)]
    mask = np.zeros(delta.size)
    mask[order] = 1
    return mask.reshape(delta.shape)


@pytest.mark.parametrize("adapter", [(), LORA], ids=["full", "lora"])
@pytest.mark.parametrize("method", list(SETTINGS))
def test_the_exported_model_is_the_base_and_the_merge(
    method: str, adapter: tuple[str, ...], tmp_path: Path
) -> None:
    out = tmp_path / "run"
    metrics = run_here(out, *overrides(tmp_path, f"sft.merge={method}", *SETTINGS[method], *adapter))
    assert list(stages(out)) == ["load", "sft", "sft_branch", "align", "merge", "export"]
    assert all(stage["status"] == "done" for stage in stages(out).values())
    base, pairs = deltas(out, tmp_path, bool(adapter))
    found, drawn = weights(out), method == "dare_ties"
    for name, (sft, align) in pairs.items():
        pruned = torch.where(sft.abs() > 1e-4, sft, 0.0)
        gained = found[name] - base[name]
        if drawn:  # each entry is one of what the two kept entries can make
            choices = [torch.zeros(()), pruned / 0.6, align / 1.2, (pruned / 0.6 + align / 1.2) / 2]
            near = torch.stack([(gained - choice).abs() for choice in choices]).amin(0)
            assert float(near.max()) < 1e-6, name
        else:
            expected = by_numpy(method, pruned.double().numpy(), align.double().numpy())
            np.testing.assert_allclose(gained.numpy(), expected, atol=1e-6, err_msg=name)
    assert all(torch.equal(found[name], base[name]) for name in base.keys() & found.keys() - pairs.keys())
    last = logged(out)[-1]
    assert last["stage"] == "merge" and last["eval/loss"] == metrics["eval/loss"]
    assert summary(out)["metrics"]["eval/loss"] == metrics["eval/loss"]


@pytest.mark.parametrize("adapter", [(), LORA], ids=["full", "lora"])
def test_what_is_measured_is_what_transformers_loads(adapter: tuple[str, ...], tmp_path: Path) -> None:
    """The next run's start, from the exported folder, has the merge's log-probabilities."""
    out, again = tmp_path / "run", tmp_path / "again"
    gold = ["data.prompts=2", "data.symbols=3", "data.max_symbols=2", f"cache={tmp_path / 'cache'}"]
    plain = ["sft.steps=20", "trainer.steps=10", "sft.merge=task_arithmetic", "trainer.log_every=1"]
    merged = run_here(out, "algo=paft", *gold, *plain, *adapter)
    start = ["algo=dpo", *gold, "model=hf", f"model.path={out / 'model'}", "sft=none", "trainer.steps=1"]
    run_here(again, *start, "trainer.log_every=1")
    first = logged(again)[0]
    assert first["step"] == 0
    assert first["gold/reward"] == pytest.approx(merged["gold/reward"], abs=1e-5)
    assert first["gold/entropy"] == pytest.approx(merged["gold/entropy"], abs=1e-5)
    branches = {line["stage"]: line for line in logged(out) if "gold/reward" in line}
    assert branches["align"]["gold/reward"] != pytest.approx(branches["merge"]["gold/reward"], abs=1e-4)


def test_weights_of_zero_and_one_give_a_branch(tmp_path: Path) -> None:
    """All of the alignment is the run without a branch; all of the other is the branch that is cached."""
    even = overrides(tmp_path, "sft.merge=linear", "sft.l1=0", "sft.threshold=0")
    run_here(tmp_path / "align", *even, "sft.sft_weight=0")
    separate = [o for o in even if not o.startswith(("sft.merge", "sft.l1", "sft.threshold"))]
    run_here(tmp_path / "dpo", *separate, "sft=separate")
    for name, weight in weights(tmp_path / "dpo").items():
        torch.testing.assert_close(weights(tmp_path / "align")[name], weight, atol=1e-6, rtol=0)
    run_here(tmp_path / "sft", *even, "sft.align_weight=0")
    branch = load_file(stages(tmp_path / "sft")["sft_branch"]["weights"])
    for name, weight in branch.items():
        torch.testing.assert_close(weights(tmp_path / "sft")[name], weight, atol=1e-6, rtol=0)


def test_the_penalty_makes_the_branch_sparser_and_counts_once_a_step(tmp_path: Path) -> None:
    """Measured under one threshold; as one micro-batch and as several it is the same training."""
    more = ["optimizer.eps=1e-8", "sft.steps=40", "sft.lr=0.003", "sft.threshold=3e-3", "trainer.steps=1"]
    densities, ends = [], []
    for l1 in (0.0, 0.01, 0.1):
        out = tmp_path / f"l1-{l1}"
        run_here(out, *overrides(tmp_path, *more, f"sft.l1={l1}"))
        densities.append(stages(out)["merge"]["sft_density"])
        lines = [line for line in logged(out) if line["stage"] == "sft_branch"]
        assert all(line["loss"] == pytest.approx(line["objective"] + l1 * line["l1"]) for line in lines)
        ends.append(lines[-1]["l1"])
    assert densities[0] > densities[1] > densities[2] and densities[2] < 0.5 * densities[0]
    assert ends[0] > ends[1] > ends[2] > 0
    small = overrides(tmp_path, "sft.l1=0.1", "sft.lr=0.5")
    run_here(tmp_path / "one", *small)
    run_here(tmp_path / "many", *small, "trainer.tokens_per_micro_batch=150")
    one, many = (
        [line for line in logged(tmp_path / n) if line["stage"] == "sft_branch"] for n in ("one", "many")
    )
    assert [line["l1"] for line in many] == pytest.approx([line["l1"] for line in one], rel=1e-4)
    assert [line["loss"] for line in many] == pytest.approx([line["loss"] for line in one], rel=1e-4)


def test_branches_are_shared_by_recipe(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Other merges, another method and other steps of it take the same branch; another penalty does not."""
    trained: list[str] = []
    original = sft_stage.imitate

    def imitate(*args: Any) -> float:
        trained.append(args[3])
        return original(*args)

    monkeypatch.setattr(sft_stage, "imitate", imitate)
    monkeypatch.setattr(parallel, "imitate", imitate)
    for number, more in enumerate(
        [
            (),
            ("sft.merge=slerp",),
            ("objective=hinge", "trainer.steps=1"),
            ("sft.threshold=0", "sft.density=1"),
        ]
    ):
        run_here(tmp_path / str(number), *overrides(tmp_path, *more))
    assert trained == ["sft", "sft_branch"]
    run_here(tmp_path / "penalty", *overrides(tmp_path, "sft.l1=0.5"))
    run_here(tmp_path / "adapter", *overrides(tmp_path, *LORA))
    # an adapter brings an optimizer of its own, so that the base is another one too
    assert trained == ["sft", "sft_branch", "sft_branch", "sft", "sft_branch"]


def test_a_trained_model_is_the_base_and_given_demonstrations_are_imitated(tmp_path: Path) -> None:
    first, out = tmp_path / "first", tmp_path / "run"
    run_here(first, *overrides(tmp_path))
    shown = tmp_path / "shown.jsonl"
    shown.write_text(
        "".join(json.dumps({"prompt": f"Say {n}:", "completion": "old red"}) + "\n" for n in range(5))
    )
    start = ["model=hf", f"model.path={first / 'model'}", f"data.demonstrations={shown}"]
    more = [o for o in overrides(tmp_path) if not o.startswith("model")]
    run_here(out, *more, *start, "sft.steps=null", "sft.epochs=3", "sft.batch_size=2")
    assert stages(out)["sft"]["reason"] == "the model is trained: both branches begin from it"
    lines = [line["step"] for line in logged(out) if line["stage"] == "sft_branch"]
    assert lines == list(range(1, 10))  # 3 epochs of ceil(5 / 2) steps


def test_the_reference_stays_the_base_while_the_merge_is_measured(tmp_path: Path) -> None:
    """Over rows that no cache holds, and where the reference lives in the policy. The alignment stands
    still, so that all of these references are the base and the same margins of the merge are measured."""
    moved = ["sft.lr=0.5", "optimizer.lr=1e-12", "sft.merge=task_arithmetic", "reward.beta=5", *LORA]
    found = []
    for number, reference in enumerate(
        [("frozen",), ("frozen", "reference.cache=false"), ("base", "reference.cache=false"), ("ema",)]
    ):
        out = tmp_path / str(number)
        run_here(out, *overrides(tmp_path, *moved, f"reference={reference[0]}", *reference[1:]))
        found.append([line["eval/rewards/margins"] for line in logged(out) if line["stage"] == "merge"][0])
    assert abs(found[0]) > 1e-3
    assert found[1:] == pytest.approx(found[:1] * 3, rel=1e-3)
