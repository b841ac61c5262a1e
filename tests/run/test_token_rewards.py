"""Tokens to text, the file of their rewards, and the page of colours."""

from __future__ import annotations

import json
import re
from html.parser import HTMLParser
from typing import Any

import pytest
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast

from xpo.model.tokens import train_bpe
from xpo.run.heat_map import write_heat_map
from xpo.run.pieces import pieces
from xpo.run.token_rewards import Judged, Token, write_token_rewards

TEXTS = [
    "plain words, no more",
    "  two spaces\n\nand lines\n",
    "👩‍🔬 and 🏯🏯",
    "naïve café € 北京 ここ",
    "<script>alert('x')</script> & \"quotes\" <|eos|>",
    "עברית ‎mixed",
]


@pytest.fixture(scope="module")
def by_bytes() -> Any:
    """A tokenizer without merges: nearly every character of other scripts is several tokens."""
    return train_bpe(["a"], 262)


@pytest.mark.parametrize("text", TEXTS)
def test_the_pieces_of_a_byte_tokenizer_join_to_the_text(text, by_bytes):
    response = by_bytes(text, add_special_tokens=False).input_ids
    prompt = by_bytes("Ask 🍚: ").input_ids
    found = pieces(by_bytes, prompt, response)
    assert len(found) == len(response) and "".join(found) == text
    assert all("\ufffd" not in piece for piece in found)
    whole = [piece for piece in found if piece]
    assert len(whole) <= len(text)  # a character, or a special token, at a time


def test_bytes_that_make_no_character_are_shown_as_such(by_bytes):
    half = by_bytes("🏯", add_special_tokens=False).input_ids[:-1]
    assert "".join(pieces(by_bytes, [1], half)) == "\ufffd"
    followed = pieces(by_bytes, [1], [*half, *by_bytes("ok", add_special_tokens=False).input_ids])
    assert "".join(followed) == "\ufffdok" and len(followed) == len(half) + 2


def test_a_space_that_only_the_prompt_keeps():
    """Some tokenizers drop a text's first space; read after its prompt a response has it."""
    words = {word: i for i, word in enumerate(["<s>", "\u2581the", "\u2581river", "s"])}
    backend = Tokenizer(models.WordLevel(words, unk_token="<s>"))
    backend.pre_tokenizer = pre_tokenizers.Metaspace()
    backend.decoder = decoders.Metaspace()
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=backend, bos_token="<s>")
    assert tokenizer.decode([2]) == "river"
    assert pieces(tokenizer, [0, 1], [2, 3]) == [" river", "s"]


def judged(text: str = "ab", **changes: Any) -> Judged:
    tokens = [Token(5 + t, c, False, 0.1 * (t + 1), -1.0 - t, -1.5) for t, c in enumerate(text)]
    given = {"row": 0, "number": 0, "label": "preferred", "merit": 1.0, "prompt": "Q", "source": "f:1"}
    return Judged(**{**given, "reward": sum(t.reward or 0 for t in tokens), "tokens": tokens, **changes})


def test_the_file_has_a_line_for_each_response(tmp_path):
    other = judged("c", number=1, label="dispreferred")
    path = write_token_rewards(tmp_path / "x.jsonl", [judged("é🏯"), other])
    first, second = (json.loads(line) for line in path.read_text(encoding="utf-8").splitlines())
    assert first["text"] == "é🏯" and first["pieces"] == ["é", "🏯"] and first["tokens"] == [5, 6]
    assert first["rewards"] == [0.1, 0.2] and first["reward"] == 0.3
    assert first["logp"] == [-1.0, -2.0] and first["ref_logp"] == [-1.5, -1.5]
    assert (first["row"], first["response"], first["label"]) == (0, 0, "preferred")
    assert (second["response"], second["label"], second["prompt"]) == (1, "dispreferred", "Q")


class Page(HTMLParser):
    """Every element is closed, and what stands in the ones with a class."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.open: list[tuple[str, dict[str, Any]]] = []
        self.texts: dict[str, list[str]] = {}
        self.numbers: list[str] = []
        self.scripts = 0
        self.feed(text)
        assert [tag for tag, _ in self.open] == []

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        found = dict(attrs)
        self.scripts += tag == "script"
        self.numbers += [found["data-numbers"]] if "data-numbers" in found else []
        assert not any(name in found for name in ("src", "href")), "the page needs another file"
        if tag not in ("meta", "link"):
            self.open.append((tag, found))
            self.texts.setdefault(found.get("class", tag), []).append("")

    def handle_endtag(self, tag: str) -> None:
        assert self.open and self.open[-1][0] == tag, f"</{tag}> closes {self.open[-1:]}"
        self.open.pop()

    def handle_data(self, data: str) -> None:
        for tag, found in self.open:
            self.texts[found.get("class", tag)][-1] += data


def page_of(path: Any, responses: list[Judged], title: str = "Title & <more>") -> Page:
    write_heat_map(path / "x.html", responses, title, "About < this")
    return Page((path / "x.html").read_text(encoding="utf-8"))


def test_the_page_shows_each_response_with_its_numbers(tmp_path):
    page = page_of(tmp_path, [judged("ab"), judged("c", number=1, label="dispreferred", merit=-1.0)])
    assert page.texts["text"] == ["ab", "c"]
    assert page.texts["label"] == ["preferred", "dispreferred"]
    assert page.texts["total"] == ["+0.300 nats", "+0.100 nats"]
    assert page.texts["title"] == ["Token rewards: Title & <more>"] and page.texts["p"] == ["About < this"]
    lines = page.numbers[0].split("\n")
    assert lines == ["reward +0.10000 nats", "log p −1.0000, reference −1.5000, log-ratio +0.5000", "token 5"]


@pytest.mark.parametrize("text", TEXTS)
def test_any_text_is_text_on_the_page(text, tmp_path):
    response = judged(text, prompt=text, source=text, label=text)
    page = page_of(tmp_path, [response], title=text)
    assert page.scripts == 1
    assert page.texts["text"][0].replace("↵", "") == text
    assert page.texts["prompt"][0] == text.strip()
    assert page.texts["source"][0] == text and page.texts["label"][0] == text


def test_tokens_that_only_together_make_a_character_are_one_field(tmp_path):
    tokens = [
        Token(7, "", False, 0.5, -1, -2),
        Token(8, "", False, -0.2, -1, -2),
        Token(9, "🏯", False, 0.1, -1, -2),
    ]
    page = page_of(tmp_path, [judged(tokens=tokens)])
    assert page.texts["text"] == ["🏯"] and len(page.numbers) == 1
    assert re.findall(r"token (\d+)", page.numbers[0]) == ["7", "8", "9"]
    assert colour(tmp_path) == ("33, 113, 181", pytest.approx(0.72))  # 0.4 together; the scale ends at 0.2


def colour(path: Any, place: int = 0) -> tuple[str, float]:
    found = re.findall(r"background: rgba\((\d+, \d+, \d+), ([\d.]+)\)", (path / "x.html").read_text())
    return found[place][0], float(found[place][1])


def test_colours_are_two_sided_and_as_strong_as_the_reward(tmp_path):
    values = [0.4, -0.4, 0.1, 0.0, -0.2]
    tokens = [Token(n, "x", False, value, -1.0, -1.0) for n, value in enumerate(values)]
    page_of(tmp_path, [judged(tokens=tokens)])
    blue, orange = "33, 113, 181", "217, 95, 14"
    shares = [1, 1, 0.25, 0, 0.5]
    for place, (value, share) in enumerate(zip(values, shares, strict=True)):
        hue, strength = colour(tmp_path, place)
        assert strength == pytest.approx(0.72 * share, abs=1e-3)
        assert hue == (blue if value > 0 else orange)


def test_few_tokens_far_out_do_not_pale_the_others(tmp_path):
    tokens = [Token(n, "x", False, 50.0 if n == 3 else 0.1, -1.0, -1.0) for n in range(100)]
    page_of(tmp_path, [judged(tokens=tokens)])
    assert colour(tmp_path, 0)[1] == colour(tmp_path, 3)[1] == pytest.approx(0.72)


def test_of_many_responses_the_best_and_the_worst_are_shown(tmp_path):
    responses = [judged("r", number=n, merit=float(n), label=f"merit {n}") for n in range(9)]
    page = page_of(tmp_path, responses)
    assert page.texts["label"] == ["merit 8", "merit 7", "merit 1", "merit 0"]
    assert page.texts["source"] == ["f:1, 4 of 9 responses"]


def test_special_untrained_and_unreferenced_tokens(tmp_path):
    tokens = [Token(1, "given"), Token(2, "own", False, 0.2, -0.7, None), Token(3, "</s>", True, -0.1, -2.0)]
    page = page_of(tmp_path, [judged(tokens=tokens)])
    assert page.texts["token untrained"] == ["given"] and page.texts["special"] == ["</s>"]
    assert page.numbers[0] == "reward +0.20000 nats\nlog p −0.7000\ntoken 2"


def test_nothing_to_show(tmp_path):
    assert "main" in page_of(tmp_path, []).texts
