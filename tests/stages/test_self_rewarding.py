"""Rounds whose policy judges itself, or a judge on loopback does: killed as they label and as they train."""

from __future__ import annotations

import json
from pathlib import Path

from tests.judge.server import prefers_long, serving
from tests.on_policy.files import prompts
from tests.stages.judged import asked_again, bought, entries
from tests.stages.killed import dies_at_entry, dies_at_step
from tests.stages.test_refreshed import judged
from tests.stages.test_rlaif import KEPT, OWN, same
from tests.stages.tiny import SIZES, WORDS, run_here

ROUNDS, PROMPTS = 2, 12


def overrides(folder: Path, cache: str, *more: str) -> list[str]:
    return [
        "algo=self_rewarding",
        *SIZES,
        *OWN,
        KEPT,
        f"data.path={prompts(folder)}",
        "data.format=prompts",
        f"schedule.rounds={ROUNDS}",
        "sampling.responses=2",
        "sampling.max_new_tokens=5",
        "sft=none",
        "logger=none",
        f"cache={folder / cache}",
        *more,
    ]


KILLS = (
    (dies_at_entry, "cache/labels", 3),
    (dies_at_step, "checkpoints/align", 1),
    (dies_at_entry, "cache/labels", 3),
    (dies_at_step, "checkpoints/align-2", 1),
)


def test_a_judge_is_asked_once_in_all_rounds(tmp_path: Path) -> None:
    out, cache = tmp_path / "killed", tmp_path / "cache"
    with serving(prefers_long) as server:
        arguments = overrides(tmp_path, "cache", *judged(server))
        for dies, place, number in KILLS:
            before, known = server.calls, bought(cache)
            dies(place, number, *arguments, f"hydra.run.dir={out}")
            assert not asked_again(known, server.bodies[before:])
        run_here(out, *arguments)
        asked, labels = server.calls, entries(cache, "labels/*.jsonl")
        run_here(tmp_path / "whole", *overrides(tmp_path, "another", *judged(server)))
    needed = server.calls - asked
    assert needed == 2 * len(labels) and needed <= asked <= needed + 2, "two kills cut off a request each"
    assert len(labels) == len(set(labels)) == ROUNDS * PROMPTS
    same(out, tmp_path / "whole")


JUDGES = ("Score: 1", "Score: 4")


def taught(folder: Path) -> Path:
    """Demonstrations of judgements alone: whatever is asked, a score is the answer."""
    path = folder / "taught.jsonl"
    rows = [
        {
            "prompt": [{"role": "user", "content": f"rate {WORDS[i % 11]} {i}"}],
            "completion": [{"role": "assistant", "content": JUDGES[i % 2]}],
        }
        for i in range(24)
    ]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def test_the_policy_is_asked_once_in_all_rounds(tmp_path: Path) -> None:
    """It learns to judge first; killed while it labels in the second round."""
    template = tmp_path / "short.yaml"
    template.write_text("ask: [{role: user, content: 'rate {prompt} {response}'}]")
    chats = tmp_path / "chats.jsonl"
    asked = [{"prompt": [{"role": "user", "content": f"rate {WORDS[i % 11]}{i}"}]} for i in range(PROMPTS)]
    chats.write_text("".join(json.dumps(row) + "\n" for row in asked))
    out, cache = tmp_path / "killed", tmp_path / "cache"
    arguments = [a for a in overrides(tmp_path, "cache") if not a.startswith(("data.path", "sft=", "optim"))]
    arguments += [
        f"data.path={chats}",
        f"data.demonstrations={taught(tmp_path)}",
        f"annotator.template={template}",
        "annotator.max_new_tokens=8",
        "annotator.temperature=1.0",
        "sampling.max_new_tokens=8",
        "sampling.top_p=1.0",
        "sampling.temperature=1.0",
        "optimizer.lr=1e-4",
        "sft.steps=150",
        "sft.lr=0.02",
        "sft.batch_size=8",
    ]
    dies_at_entry("cache/labels", PROMPTS + 3, *arguments, f"hydra.run.dir={out}")
    known = stored(cache)
    assert sorted(map(len, known.values())) == [3, PROMPTS], "of each policy"
    run_here(out, *arguments)
    labels = stored(cache)
    assert all(labels[name][: len(keys)] == keys for name, keys in known.items())
    assert [len(keys) for keys in labels.values()] == [PROMPTS] * ROUNDS
    assert all(len(set(keys)) == PROMPTS for keys in labels.values()), "no pair is judged twice"


def stored(cache: Path) -> dict[str, list[str]]:
    """What is judged, by the policy that judged."""
    return {path.name: entries(path.parent, path.name) for path in (cache / "labels").glob("self*.jsonl")}
