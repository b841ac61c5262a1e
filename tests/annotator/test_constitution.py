"""Principles, both orders, clamping: by hand, from what a scripted model says."""

from __future__ import annotations

import pytest

from tests.judge.scripted import Scripted, opened, text
from xpo.annotator.base import Desk, LabelError
from xpo.annotator.constitution import Constitution
from xpo.data.record import Record
from xpo.judge import comparing

PAIR = [Record("paint {first}", ("red", "blue"), where="f:1")]
LIST = [Record(f"say {i}", ("red", "blue", "green"), where=f"f:{i}") for i in range(20)]


def likes_red(conversation, options):
    """0.8 for red where it is shown first, 0.7 where it is shown second."""
    first = next(line for line in text(conversation).splitlines() if line.startswith("(A)"))
    return (0.8, 0.2) if "red" in first else (0.3, 0.7)


def always_first(conversation, options):
    return (0.9, 0.1)


def labelled(monkeypatch, tmp_path, prefer, rows=PAIR, say=None, **fields):
    backend = opened(monkeypatch, Scripted(prefer, say or (lambda c, n: "because")))
    return Constitution(path="any", **fields)(rows, Desk(tmp_path)), backend


def test_both_orders_are_averaged(monkeypatch, tmp_path):
    (record,), backend = labelled(monkeypatch, tmp_path, likes_red)
    assert record.wins == (pytest.approx((0.5, 0.75)), pytest.approx((0.25, 0.5)))
    assert record.scores == pytest.approx((0.75, 0.25)) and record.ranks is None
    one, other = (text(conversation) for conversation in backend.asked)
    assert "paint {first}" in one and "(A) red\n\n(B) blue" in one and "(A) blue\n\n(B) red" in other
    assert one.replace("(A) red\n\n(B) blue", "") == other.replace("(A) blue\n\n(B) red", "")


def test_a_liking_for_the_first_place_cancels_exactly(monkeypatch, tmp_path):
    for tokens in (0, 4):
        records, _ = labelled(monkeypatch, tmp_path, always_first, LIST, rationale_tokens=tokens)
        assert all(share == 0.5 for record in records for row in record.wins for share in row)


def test_after_a_thought_probabilities_are_clamped(monkeypatch, tmp_path):
    (record,), backend = labelled(monkeypatch, tmp_path, likes_red, rationale_tokens=9)
    # 0.8 to 0.6, and 0.3 to 0.4: (0.6 + 0.6) / 2
    assert record.wins[0][1] == pytest.approx(0.6) and record.wins[1][0] == pytest.approx(0.4)
    thought = [c for c in backend.asked if len(c) > 1]
    assert len(backend.asked) == 4 and len(thought) == 2
    assert all(c[1].role == "assistant" and c[1].content == "because" for c in thought)
    (free,), _ = labelled(monkeypatch, tmp_path, likes_red, rationale_tokens=9, clamp=(0.0, 1.0))
    assert free.wins[0][1] == pytest.approx(0.75)
    (half,), _ = labelled(monkeypatch, tmp_path, likes_red, clamp=(0.1, 0.6))
    assert half.wins[0][1] == pytest.approx((0.6 + 0.7) / 2)


def test_every_pair_of_a_list_and_a_principle_for_each(monkeypatch, tmp_path):
    records, backend = labelled(monkeypatch, tmp_path, likes_red, LIST)
    assert len(backend.asked) == 20 * 3 * 2
    for record in records:
        assert record.wins[0] == pytest.approx((0.5, 0.75, 0.75))
        assert record.wins[1] == pytest.approx((0.25, 0.5, 0.3 / 2 + (1 - 0.3) / 2))
        assert record.scores == pytest.approx((0.75, 0.375, 0.375))
    verdicts = Constitution(path="any").judge(LIST, Desk(tmp_path))
    told = [[entry["principle"] for entry in verdict.why] for verdict in verdicts]
    assert all(row[0::2] == row[1::2] for row in told)  # both orders under one
    assert len({principle for row in told for principle in row}) == 12
    assert len({tuple(row) for row in told}) > 10
    moved = Constitution(path="any", seed=1).judge(LIST, Desk(tmp_path))
    assert [[entry["principle"] for entry in verdict.why] for verdict in moved] != told


def test_principles_of_ones_own_are_asked(monkeypatch, tmp_path):
    path = tmp_path / "p.jsonl"
    path.write_text('{"compare": "Which {prompt} is redder?"}\n')
    _, backend = labelled(monkeypatch, tmp_path, likes_red, principles=str(path))
    assert all("Which {prompt} is redder?" in text(conversation) for conversation in backend.asked)
    settings = Constitution(path="any", principles=str(path)).settings()
    assert str(tmp_path) not in repr(settings) and settings["principles"] == ["Which {prompt} is redder?"]


def test_a_second_run_asks_nothing(monkeypatch, tmp_path):
    first, asked = labelled(monkeypatch, tmp_path, likes_red, LIST)
    again, silent = labelled(monkeypatch, tmp_path, likes_red, LIST)
    assert asked.asked and not silent.asked and first == again
    for change in ({"seed": 1}, {"clamp": (0.2, 0.8)}, {"template": "google"}, {"rationale_tokens": 3}):
        _, other = labelled(monkeypatch, tmp_path, always_first, LIST[:1], **change)
        assert other.asked, change


def test_single_responses_are_refused_before_anything_is_asked(monkeypatch, tmp_path):
    backend = opened(monkeypatch, Scripted())
    with pytest.raises(LabelError, match="f:9: .*this row has one; annotator=direct"):
        Constitution(path="any")([*PAIR, Record("p", ("a",), where="f:9")], Desk(tmp_path))
    assert not backend.asked


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"clamp": (0.6, 0.7)}, r"clamp must be \[low, high\]"),
        ({"clamp": (0.5, 0.5)}, "clamp"),
        ({"clamp": (0.4, 1.2)}, "clamp"),
        ({"principles": "nowhere.yaml"}, "no such file"),
        ({"template": "impartial"}, "xpo brings: anthropic, google"),
    ],
)
def test_fields_out_of_range(fields, message):
    with pytest.raises(ValueError, match=message):
        Constitution(path="any", **fields)


def test_a_template_needs_a_place_for_the_principle_and_two_options(tmp_path):
    path = tmp_path / "t.yaml"
    path.write_text("options: [A, B]\nask: [{role: user, content: '{prompt} {first} {second}'}]")
    with pytest.raises(ValueError, match="no place for {principle}"):
        Constitution(path="any", template=str(path))
    path.write_text("options: [A]\nask: [{role: user, content: '{prompt} {first} {second} {principle}'}]")
    with pytest.raises(ValueError, match="options must be two texts"):
        Constitution(path="any", template=str(path))


class OneOrderTwice(Constitution):
    def orders(self, record):
        return [(min(order), max(order)) for order in super().orders(record)]


class NotTurnedBack(Constitution):
    def _verdict(self, record, row, said):
        turned = [said[0], type(said[1])(said[1].shares[::-1])] if len(said) == 2 else said
        return super()._verdict(record, row, turned)


class Unclamped(Constitution):
    @property
    def bounds(self):
        return (0.0, 1.0) if self.clamp is None else self.clamp


def swapped(record, first, second):
    told = SHOWN(record, first, second)
    return {**told, "first": told["second"], "second": told["first"]}


SHOWN = comparing.shown
CATCHES = {
    OneOrderTwice: test_both_orders_are_averaged,
    NotTurnedBack: test_both_orders_are_averaged,
    Unclamped: test_after_a_thought_probabilities_are_clamped,
}


@pytest.mark.parametrize("broken", CATCHES, ids=lambda cls: cls.__name__)
def test_broken_variants_are_caught(monkeypatch, tmp_path, broken):
    monkeypatch.setattr(f"{__name__}.Constitution", broken)
    with pytest.raises(AssertionError):
        CATCHES[broken](monkeypatch, tmp_path)


def test_swapped_texts_are_caught(monkeypatch, tmp_path):
    monkeypatch.setattr(comparing, "shown", swapped)
    with pytest.raises(AssertionError):
        test_both_orders_are_averaged(monkeypatch, tmp_path)
