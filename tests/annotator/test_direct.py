"""Expected scores over numbers, by hand."""

from __future__ import annotations

import dataclasses

import pytest

from tests.judge.scripted import Scripted, opened, refuses, text
from xpo.annotator.base import Desk, LabelError
from xpo.annotator.direct import Direct
from xpo.data.record import Message, Record
from xpo.errors import UserError

ROWS = [
    Record("say {response}", ("good", "bad"), ranks=(1, 0), where="f:1"),
    Record((Message("user", "Hi"),), ((Message("assistant", "fine"),),), where="f:2"),
]


def by_word(conversation, options):
    """good is surely the last number, bad the first, all else by thirds."""
    said = conversation[-1].content
    if "Response:\ngood" in said:
        return [0.0] * (len(options) - 1) + [1.0]
    if "Response:\nbad" in said:
        return [1.0] + [0.0] * (len(options) - 1)
    return [0.2, 0.3, 0.5, *([0.0] * (len(options) - 3))]


def scores(monkeypatch, tmp_path, **fields):
    backend = opened(monkeypatch, Scripted(by_word))
    labelled = Direct(path="any", **fields)(ROWS, Desk(tmp_path))
    return [record.scores for record in labelled], backend, labelled


def test_the_expected_score_is_rescaled(monkeypatch, tmp_path):
    found, backend, labelled = scores(monkeypatch, tmp_path)
    # 0.2 * 1 + 0.3 * 2 + 0.5 * 3 = 2.3; 2 * (2.3 - 1) / 9 - 1
    assert found == [pytest.approx((1.0, -1.0)), pytest.approx((-0.7111111111,))]
    assert labelled[0].ranks is None and labelled[0].wins is None
    assert len(backend.asked) == 3 and "say {response}" in text(backend.asked[0])
    assert "Conversation:\nHuman: Hi\n\nResponse:\nfine\n" in text(backend.asked[2])


@pytest.mark.parametrize(("low", "high", "third"), [(1, 3, 0.3), (0, 4, -0.35), (5, 7, 0.3)])
def test_any_scale(monkeypatch, tmp_path, low, high, third):
    found, backend, _ = scores(monkeypatch, tmp_path, low=low, high=high)
    # on 0 to 4: 0.3 * 1 + 0.5 * 2 = 1.3; 1.3 / 2 - 1
    assert found == [pytest.approx((1.0, -1.0)), pytest.approx((third,))]
    assert f"from {low} to {high}" in text(backend.asked[0])


def test_options_are_all_the_numbers(monkeypatch, tmp_path):
    seen = []
    backend = opened(monkeypatch, Scripted(lambda c, options: seen.append(options) or [1] + [0] * 9))
    Direct(path="any")(ROWS, Desk(tmp_path))
    assert seen[0] == ["1", "2", "3", "4", "5", "6", "7", "8", "9", "10"] and backend.asked


def test_a_rationale_comes_first_and_is_kept(monkeypatch, tmp_path):
    def say(conversation, number):
        return f"thought {len(conversation)} "

    def after(conversation, options):
        assert [turn.role for turn in conversation] == ["user", "assistant", "user"]
        assert conversation[1].content == "thought 1"
        return [0.0] * 9 + [1.0]

    opened(monkeypatch, Scripted(after, say))
    annotator = Direct(path="any", rationale_tokens=7)
    verdicts = list(annotator.judge(ROWS, Desk(tmp_path)))
    assert [verdict.scores for verdict in verdicts] == [(1.0, 1.0), (1.0,)]
    assert verdicts[0].why[1] == {"shares": (*[0.0] * 9, 1.0), "rationale": "thought 1"}


def test_labels_are_not_asked_for_twice(monkeypatch, tmp_path):
    _, first, labelled = scores(monkeypatch, tmp_path)
    _, second, again = scores(monkeypatch, tmp_path)
    assert len(first.asked) == 3 and second.asked == [] and labelled == again
    _, other, _ = scores(monkeypatch, tmp_path, high=9)
    assert len(other.asked) == 3


def test_the_row_at_fault_is_named(monkeypatch, tmp_path):
    def third(conversation, options):
        return refuses(conversation) if "fine" in text(conversation) else [0.1] * 10

    opened(monkeypatch, Scripted(third, lambda c, n: refuses(c) if "fine" in text(c) else "so"))
    for tokens in (0, 5):
        with pytest.raises(LabelError, match="^f:2: no$"):
            Direct(path="any", rationale_tokens=tokens)(ROWS, Desk(tmp_path))


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"low": 3, "high": 3}, "low and high must be 0 <= low < high <= 100, got 3 and 3"),
        ({"low": -1}, "low and high"),
        ({"rationale_tokens": -1}, "rationale_tokens must be 0"),
        ({"template": "nope"}, "no such file"),
        ({"url": "http://localhost:1/v1"}, "give one of them, got both"),
    ],
)
def test_fields_out_of_range(fields, message):
    with pytest.raises(ValueError, match=message):
        Direct(**{"path": "any", **fields})


class FromZero(Direct):
    def _score(self, said):
        expected = sum(p * number for number, p in enumerate(said.shares))
        return 2 * (expected - self.low) / (self.high - self.low) - 1


class Unscaled(Direct):
    def _score(self, said):
        return sum(p * number for number, p in enumerate(said.shares, self.low))


class Likeliest(Direct):
    def _score(self, said):
        best = self.low + max(range(len(said.shares)), key=said.shares.__getitem__)
        return 2 * (best - self.low) / (self.high - self.low) - 1


@pytest.mark.parametrize("broken", [FromZero, Unscaled, Likeliest])
def test_broken_variants_are_caught(monkeypatch, tmp_path, broken):
    monkeypatch.setattr(f"{__name__}.Direct", broken)
    with pytest.raises(AssertionError):
        test_the_expected_score_is_rescaled(monkeypatch, tmp_path)


def test_files_count_by_what_stands_in_them(tmp_path):
    template = tmp_path / "a.yaml"
    template.write_text("ask: [{role: user, content: 'rate {prompt} {response}'}]")
    one = Direct(path="any", template=str(template))
    before = one.settings()
    assert str(tmp_path) not in repr(before)
    template.write_text("ask: [{role: user, content: 'score {prompt} {response}'}]")
    assert one.settings() != before
    with pytest.raises(UserError, match="no place for {response}"):
        template.write_text("ask: [{role: user, content: 'rate {prompt}'}]")
        dataclasses.replace(one, low=2)
