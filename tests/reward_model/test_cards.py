"""What a model card tells to do is done: its Python runs, and gives what the run itself gave."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.reward_model.folders import leave, meaning
from tests.stages.tiny import SIZES, STAGE, run_here, write_lists
from xpo.errors import UserError
from xpo.reward_model.saved import load_reward
from xpo.reward_model.solution import judged_parts

TINY = (*(size for size in SIZES if not size.startswith("optimizer")), *STAGE, "trainer.steps=2")


def blocks(folder: Path) -> list[str]:
    """The card's Python, in its order."""
    return re.findall(r"```python\n(.*?)```", (folder / "README.md").read_text(), re.DOTALL)


def did(code: str, folder: Path, monkeypatch: pytest.MonkeyPatch, **given: str) -> dict[str, Any]:
    """The names after the code has run, with other texts in the place of those it is written with."""
    for name, text in given.items():
        code, changed = re.subn(name, lambda _, text=text: text, code, count=1)
        assert changed == 1, name
    names: dict[str, Any] = {}
    monkeypatch.chdir(folder)
    exec(code, names)
    return names


def train(out: Path, rows: Path, *settings: str) -> list[dict[str, Any]]:
    """``scores.jsonl`` of a run."""
    run_here(out, *settings, *TINY, "eval.samples=8", f"data.path={rows}", f"cache={out}/cache")
    return [json.loads(line) for line in (out / "scores.jsonl").read_text().splitlines()]


@pytest.fixture(scope="module")
def process(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    """A process model and a line of its scores; all steps end in ".\\n", which becomes one token."""
    out = tmp_path_factory.mktemp("process")
    lines = []
    for i in range(24):
        steps = [f"{'ab'[(i + j) % 2]}." for j in range(2 + i % 3)]
        labels = [i % 4 == 0 or (i + j) % 2 == 0 for j in range(2 + i % 3)]
        lines.append({"prompt": f"{i}:", "completions": steps, "labels": labels})
    path = out / "steps.jsonl"
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return out / "model", train(out, path, "algo=reward_prm")[0]


def test_parts_are_what_the_run_scored(process: tuple[Path, dict[str, Any]], monkeypatch: Any) -> None:
    """A line break is in the token of the full stop before it: text that ends there has another token."""
    model, line = process
    whole = max(line["responses"], key=len)
    tokenizer = load_reward(str(model)).tokenizer
    assert ".Ċ" in tokenizer.get_vocab() and whole.count(".\n") >= 1
    by_end = {len(text.rstrip()): r for text, r in zip(line["responses"], line["rewards"], strict=True)}
    texts = {"the first step.*second": repr(whole)[1:-1], "the prompt": line["prompt"]}
    asked, alone = blocks(model)
    found = did(asked, model, monkeypatch, **texts)["judged"]
    assert [part.end for part in found.parts] == sorted(by_end)
    assert found.logit_MS[0].tolist() == pytest.approx([by_end[end] for end in sorted(by_end)], abs=1e-4)
    ends = {r"ends = \[.*\]": f"ends = {sorted(by_end)}"}
    logits = torch.cat(did(alone, model, monkeypatch, **texts, **ends)["logits"])
    assert logits.tolist() == pytest.approx(found.logit_MS[0].tolist(), abs=1e-4)
    cut = [tokenizer(line["prompt"] + whole[:end], return_tensors="pt").input_ids for end in sorted(by_end)]
    with torch.no_grad():
        naive = [load_classifier(model)(ids).logits.item() for ids in cut]
    assert naive != pytest.approx(logits.tolist(), abs=1e-3)  # what the card must not say


def load_classifier(folder: Path) -> Any:
    from transformers import AutoModelForSequenceClassification

    return AutoModelForSequenceClassification.from_pretrained(folder)


def test_sentences_are_spoken_of_as_sentences(tmp_path: Path, monkeypatch: Any) -> None:
    (line, *_) = train(tmp_path, write_lists(tmp_path / "rows.jsonl"), "algo=reward_span")
    model = tmp_path / "model"
    card = (model / "README.md").read_text()
    assert "into sentences" in card and "step" not in blocks(model)[0] and "\\n" not in blocks(model)[0]
    whole = max(line["responses"], key=len)
    given = {"This is one .*another.": whole, "the prompt": line["prompt"]}
    found = did(blocks(model)[0], model, monkeypatch, **given)["judged"]
    assert found.logit_MS[0, -1].item() == pytest.approx(
        line["rewards"][line["responses"].index(whole)], abs=1e-4
    )


@pytest.mark.parametrize("preset", ["reward_bt", "reward_pm"])
def test_responses_are_what_the_run_scored(preset: str, tmp_path: Path, monkeypatch: Any) -> None:
    lines = train(tmp_path, write_lists(tmp_path / "rows.jsonl"), f"algo={preset}")
    model = tmp_path / "model"
    line = max(lines, key=lambda line: len(line["responses"]))
    one, *more = line["responses"]
    *plain, asked = blocks(model)
    texts = {" a response": one, '" another"': ", ".join(map(repr, more)), "the prompt": line["prompt"]}
    (opinion,) = did(asked, model, monkeypatch, **texts)["opinions"]
    if line["log_odds"] is not None:
        torch.testing.assert_close(opinion.log_odds_BKK, torch.tensor(line["log_odds"]), atol=1e-4, rtol=1e-4)
        return
    assert opinion.reward_BK.tolist() == pytest.approx(line["rewards"], abs=1e-4)
    saved = load_reward(str(model))
    assert saved.meaning is not None
    score = did(plain[0], model, monkeypatch, **{" the response": one, "the prompt": line["prompt"]})["score"]
    assert score.item() - saved.meaning.offset[0] == pytest.approx(line["rewards"][0], abs=1e-4)


def test_a_model_is_written_in_one_line_and_asked_by_dicts(process: tuple[Path, dict[str, Any]]) -> None:
    saved = load_reward(str(process[0]))
    assert repr(saved) == (
        "SavedReward(LlamaForSequenceClassification, opinions of parts of responses, members=1, window=64)"
    )
    row = {"prompt": "1:", "completions": ["a.\nb.", "a."]}
    messages = {
        "prompt": [{"role": "user", "content": "1:"}],
        "completions": [{"role": "assistant", "content": "a.\nb."}],
    }
    first, second = judged_parts(saved, [row, messages])
    assert [len(judged.parts) for judged in (*first, *second)] == [2, 1, 2]
    for wrong, why in {
        "no list": "rows must be a list",
        "x": r"row 0 must be \{",
        "y": "row 0: completions must be a list",
        "z": r"row 0: column 'completions\[1\]' must be a text",
    }.items():
        rows: Any = {"no list": row, "x": [{"prompt": "a", "response": "b"}]}.get(wrong)
        rows = rows or [{"prompt": "a", "completions": "b" if wrong == "y" else ["b", 3]}]
        with pytest.raises(UserError, match=why):
            next(saved.opinions(rows))


@pytest.mark.parametrize("number", [0, 1])
def test_the_python_of_the_docs_runs(
    number: int, process: tuple[Path, dict[str, Any]], tmp_path: Path, capsys: Any, monkeypatch: Any
) -> None:
    page = Path(__file__).resolve().parents[2] / "docs" / "reward_models.md"
    found = re.findall(r"```python\n(.*?)```", page.read_text(), re.DOTALL)
    assert len(found) == 2
    model = str(process[0])
    if number == 0:
        model = leave(tmp_path / "model", told=meaning(offset=(0.5,)))
    names = did(found[number], process[0], monkeypatch, **{"RUN/model": model})
    assert capsys.readouterr().out.count("\n") == 1
    assert len(names["judged"].parts if number else names["opinion"].reward_BK) == 2
