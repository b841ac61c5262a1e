import json

import pytest

from xpo.compose import ConfigError
from xpo.contracts import Row
from xpo.explain.inspect import MOST_RESPONSES, Shown, lines, main

SMALL = ["model=scratch", "model.hidden=16", "model.layers=1", "model.heads=2", "model.vocab_size=300"]


@pytest.fixture
def pairs(tmp_path):
    path = tmp_path / "pairs.jsonl"
    rows = [{"prompt": f"Q{n}:\n", "chosen": f" yes {n}", "rejected": " no"} for n in range(6)]
    rows.append({"prompt": "Q:", "chosen": "same", "rejected": "same"})
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return ["data=jsonl", f"data.path={path}", "data.test_fraction=0", *SMALL]


def test_rows_are_shown_as_the_model_gets_them(pairs, capsys):
    assert main([*pairs, "n=2"]) == 0
    text = capsys.readouterr().out
    assert "train row 0" in text and "train row 1" in text and "train row 2" not in text
    assert "<|bos|>|" in text and text.count("|<|eos|>") == 4  # two rows of two responses, each closed once
    assert "\\n" in text  # line ends are visible
    assert "ends in EOS: preferred over 1 (1)" in text
    assert "1  identical responses" in text and "train: 6 rows" in text
    assert "\033[" not in text


def test_colours_mark_context_trained_and_special_tokens():
    class Tokenizer:
        all_special_ids = [0]
        eos_token_id = 0

        def decode(self, ids):
            return {0: "<eos>", 5: "a", 6: "b"}[ids[0]]

    row = Row([5, 6], [[5, 0], [6]], prefer=[[0, 1], [0, 0]])
    prompt, first, second = (lines(row, Shown(Tokenizer(), True))[n] for n in (1, 3, 5))
    assert prompt.count("\033[2m") == 2  # dim: context
    assert "\033[2m" not in first and "\033[7m" in first  # reversed: special
    assert "\033[7m" not in second
    cut = lines(row, Shown(Tokenizer(), False))[4]
    assert "cut, no EOS" in cut


def test_long_lists_are_shortened():
    class Tokenizer:
        all_special_ids = []
        eos_token_id = 0

        def decode(self, ids):
            return "x"

    found = lines(Row([1], [[n] for n in range(1, 10)]), Shown(Tokenizer(), False))
    assert found[-1] == f"  and {9 - MOST_RESPONSES} more responses"


def test_wrong_arguments_are_errors(pairs):
    with pytest.raises(ConfigError, match="n must be a whole number"):
        main([*pairs, "n=two"])
    with pytest.raises(ConfigError, match="train or test"):
        main([*pairs, "split=dev"])


def test_prompts_are_shown_where_responses_are_sampled(pairs, capsys):
    scored = ["algo=rloo", "annotator=rule", "annotator.rules=[{name: length, most: 5}]"]
    template = "sampling.prompt_template='Kindly: {prompt}'"
    assert main([*pairs, *scored, template, "objective.truncation=2", "n=1"]) == 0
    text = capsys.readouterr().out
    assert "train prompt 0" in text and "train: 7 prompts" in text and "train prompt 1" not in text
    assert "4 responses sampled when it is its turn" in text and "response 0" not in text
    assert "shown for sampling" in text
    assert main(["algo=reinforce", "data=gold", "n=1"]) == 0
    text = capsys.readouterr().out
    assert "1 response sampled" in text and "shown for sampling" not in text
