"""Sample, critique, revise: in this order, from what was revised last, and never twice."""

from __future__ import annotations

import pytest

from tests.judge.scripted import Scripted, text
from xpo.data.record import Message
from xpo.errors import UserError
from xpo.judge import revise as module
from xpo.judge.principles import read_principles
from xpo.judge.revise import KIND, Recipe, revise, sampled
from xpo.judge.template_file import read_template

TEMPLATE = read_template(KIND, "anthropic", thinking=True)
PRINCIPLES = read_principles(None, "critique", "revision")


def says(conversation, number=0):
    """A critique of, or an r more for, what is asked about."""
    response = conversation[0].content.split("answered:\n\n")[1].split("\n\nCritique request")[0]
    return f" critique of {response}\n" if len(conversation) == 1 else f" {response}r "


def ran(items, say=says, **recipe):
    backend = Scripted(say=say)
    return list(revise(backend, TEMPLATE, PRINCIPLES, items, Recipe(**recipe))), backend


def test_a_critique_then_a_revision_which_the_next_round_criticises():
    (one,), backend = ran([("p {response}", " a {prompt}")], rounds=3)
    assert [step.revision for step in one.steps] == ["a {prompt}r", "a {prompt}rr", "a {prompt}rrr"]
    assert [step.critique for step in one.steps][:2] == ["critique of a {prompt}", "critique of a {prompt}r"]
    assert one.last == "a {prompt}rrr" and len(backend.asked) == 6
    for step, first, second in zip(one.steps, backend.asked[::2], backend.asked[1::2], strict=True):
        assert [turn.role for turn in first] == ["user"] and "p {response}" in first[0].content
        assert step.principle.critique in first[0].content and step.principle.revision not in first[0].content
        assert second[:2] == (*first, Message("assistant", step.critique))
        assert second[2].role == "user" and step.principle.revision in second[2].content


def test_principles_are_drawn_by_content_round_and_seed():
    items = [(f"p{i}", "a") for i in range(12)]
    told = [
        [[step.principle for step in one.steps] for one in ran(items, seed=seed)[0]] for seed in (0, 0, 1)
    ]
    assert told[0] == told[1] != told[2]
    assert len({principle for row in told[0] for principle in row}) > 8
    assert any(len(set(row)) > 1 for row in told[0])


def test_an_empty_revision_ends_the_rounds():
    def silent_about_b(conversation, number):
        said = says(conversation)
        return " \n" if said.strip() == "br" else said

    found, backend = ran([("p", "a"), ("p", "b"), ("p", "c")], silent_about_b, rounds=2)
    assert [one.last for one in found] == ["arr", None, "crr"]
    assert len(backend.asked) == 2 * 3 + 2 * 2


@pytest.mark.parametrize(
    ("when", "whole"), [("critique of c", 2), ("cr", 2), ("critique of cr", 2), ("brr", 1)]
)
def test_an_error_comes_at_its_turn(when, whole):
    def fails(conversation, number):
        said = says(conversation)
        if said.strip() == when:
            raise UserError(f"no {when}")
        return said

    items = [("p", letter) for letter in "abcd"]
    found = revise(Scripted(say=fails), TEMPLATE, PRINCIPLES, items, Recipe(rounds=2))
    assert [next(found).last for _ in range(whole)] == ["arr", "brr"][:whole]
    with pytest.raises(UserError, match=f"^no {when}$"):
        next(found)


def test_of_two_errors_the_one_of_the_earlier_response_counts():
    def fails(conversation, number):
        said = says(conversation).strip()
        if said in ("dr", "brr"):  # d in the first round, b in the second
            raise UserError(said)
        return said

    found = revise(Scripted(say=fails), TEMPLATE, PRINCIPLES, [("p", x) for x in "abcd"], Recipe(rounds=2))
    assert next(found).last == "arr"
    with pytest.raises(UserError, match="^brr$"):
        next(found)


def test_the_model_answers_first():
    backend = Scripted(say=lambda conversation, number: f" to {text(conversation)}")
    prompts = ["hi\n", (Message("user", "you"),)]
    assert list(sampled(backend, prompts, Recipe().draw)) == ["to hi", "to you"]


@pytest.mark.parametrize("field", [{"rounds": 0}, {"max_new_tokens": 0}, {"temperature": -0.1}])
def test_recipes_out_of_range(field):
    with pytest.raises(ValueError, match=f"{next(iter(field))} must be"):
        Recipe(**field)


def test_broken_variants_are_caught(monkeypatch):
    filling = module.filling

    def revises_the_first(prompt, response):
        return filling(prompt, response.rstrip("r"))

    monkeypatch.setattr(module, "filling", revises_the_first)
    with pytest.raises(AssertionError):
        test_a_critique_then_a_revision_which_the_next_round_criticises()
