"""Whole runs with labels of a tiny model: they are asked for once, and the policy's own when it is there."""

from __future__ import annotations

import json

import pytest
import torch

from tests.stages.tiny import SIZES, STAGE, run_here
from xpo.compose import build, compose_config
from xpo.compose.compat import Refused
from xpo.judge.local import LocalBackend
from xpo.model.scratch import Scratch
from xpo.model.tokens import train_bpe
from xpo.stages.job import execute

RATED = [f"Score: {number}" for number in range(6)]


@pytest.fixture(scope="module")
def judge(tmp_path_factory):
    """A folder with a random model that holds a whole question; blanks and EOS are never the likeliest."""
    folder = tmp_path_factory.mktemp("judge")
    tokenizer = train_bpe(["Answer with the score alone, a number from 1 to 10", "A or B alone"] * 3, 290)
    model = Scratch(hidden=16, layers=1, heads=2, max_length=2048, tie_embeddings=False).build(tokenizer, 5)
    blank = [token for token in range(290) if not tokenizer.decode([token], skip_special_tokens=True).strip()]
    with torch.no_grad():
        model.lm_head.weight[blank] = 0  # of hundreds of random logits the largest is above 0
    for part in (model, tokenizer):
        part.save_pretrained(folder)
    return folder


@pytest.fixture
def rows(tmp_path):
    path = tmp_path / "rows.jsonl"
    lines = [
        {
            "prompt": [{"role": "user", "content": f"rate {i}"}],
            "chosen": [{"role": "assistant", "content": RATED[i % 6]}],
            "rejected": [{"role": "assistant", "content": RATED[(i * 5 + 1) % 6] + " no"}],
        }
        for i in range(24)
    ]
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return path


@pytest.fixture
def counted(monkeypatch):
    """How many conversations local models were asked."""
    asked = {"options": 0, "answers": 0}
    for name in asked:
        original = getattr(LocalBackend, name)

        def counting(self, conversations, what, name=name, original=original):
            for found in original(self, conversations, what):
                asked[name] += 1
                yield found

        monkeypatch.setattr(LocalBackend, name, counting)
    return asked


def overrides(rows, tmp_path, *more):
    common = (*SIZES, *STAGE, f"data.path={rows}", f"cache={tmp_path / 'cache'}", "logger=none")
    return ("algo=dpo", *common, "trainer.steps=2", *more)


def stored(tmp_path, name):
    (path,) = (tmp_path / "cache" / "labels").glob(f"{name}-*.jsonl")
    return [json.loads(line)["value"] for line in path.read_text().splitlines()]


@pytest.mark.parametrize(
    ("annotator", "questions", "more"),
    [
        ("direct", 48, ()),
        ("constitution", 48, ("annotator.rationale_tokens=2", "annotator.template=google")),
    ],
)
def test_a_model_that_is_asked_once(judge, rows, tmp_path, counted, annotator, questions, more):
    given = overrides(rows, tmp_path, f"annotator={annotator}", f"annotator.path={judge}", *more)
    metrics = run_here(tmp_path / "one", *given)
    assert counted["options"] == questions
    values = stored(tmp_path, annotator)
    assert len(values) == 24
    if annotator == "direct":
        assert all(-1 <= score <= 1 for value in values for score in value["scores"])
    else:
        assert all(0.4 <= value["wins"][0][1] <= 0.6 for value in values)
    counted.update(options=0, answers=0)
    assert run_here(tmp_path / "two", *given) == pytest.approx(metrics, rel=1e-6)
    assert counted == {"options": 0, "answers": 0}


def test_the_policy_judges_itself_after_sft(rows, tmp_path, counted):
    template = tmp_path / "short.yaml"
    template.write_text("ask: [{role: user, content: 'rate {prompt} {response}'}]")
    given = overrides(
        rows,
        tmp_path,
        "annotator=self",
        f"annotator.template={template}",
        "annotator.max_new_tokens=8",
        "annotator.temperature=1.0",
        "optimizer.lr=0.01",
        "optimizer.eps=1e-8",
        "sft.steps=150",
        "sft.lr=0.02",
    )
    run_here(tmp_path / "one", *given)
    values = stored(tmp_path, "selfrewarding")
    assert counted["answers"] == 48 and len(values) == 24
    for value in values:
        for score, answers in zip(value["scores"], value["why"], strict=True):
            read = [int(answer[-1]) for answer in answers if " ".join(answer.split()) in RATED]
            assert score == pytest.approx(sum(read) / len(read))
    counted.update(answers=0)
    run_here(tmp_path / "two", *given)  # SFT comes from the cache: the same weights
    assert counted["answers"] == 0
    run_here(tmp_path / "three", *given, "seed=1")
    assert counted["answers"] == 48  # another policy


def test_the_policy_of_an_enumerable_world_reads_no_questions():
    """Other models have words of their own and may label there."""
    with pytest.raises(Refused, match="needs texts, but data=gold provides"):
        build(compose_config(["algo=dpo", "annotator=self"]))


def test_a_judge_labels_the_gold_world(judge, tmp_path):
    given = (f"annotator.path={judge}", "data=gold", "data.mode=sampled", "data.records=16")
    sizes = ("sft.steps=2", "trainer.steps=2", "trainer.batch_size=8", "logger=none", "model.hidden=16")
    for annotator in ("judge", "direct", "constitution"):
        run = ["algo=dpo", f"annotator={annotator}", *given, *sizes, f"cache={tmp_path}/cache"]
        metrics = execute(build(compose_config(run)), tmp_path / annotator)
        assert abs(metrics["gold/reward_share"]) < 1
