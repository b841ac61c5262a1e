"""Which answers become rows, for what is imitated or compared in rounds, and the tokens that they hold."""

from __future__ import annotations

import copy
import dataclasses
import pickle
from typing import Any

import pytest
import torch

from tests.on_policy.hand import EOS, composed, prompt, spoken
from xpo.data.counts import Counts
from xpo.data.prompts import Prompt, prompts_of, said_in_text
from xpo.data.record import Message, Record
from xpo.data.render import rendered
from xpo.data.spoken import Spoken, ids_said
from xpo.data.tokenize import ids_of
from xpo.model.tokens import train_bpe
from xpo.on_policy.answered import Answered
from xpo.on_policy.rows import rows_of
from xpo.sampling.best_of_n import BestOfN
from xpo.sampling.on_policy import OnPolicy
from xpo.sampling.rejection import Rejection

SCORES = [[1.0, 4.0, 2.0, 3.0], [5.0, 5.5, 0.0, 0.5]]


def chosen(option: Any, turn: int = 1) -> list[list[int]]:
    return option.choose(SCORES, torch.Generator().manual_seed(0), turn)


def test_the_best_of_each_prompt() -> None:
    assert chosen(BestOfN(responses=4)) == [[1], [1]]
    assert chosen(BestOfN(responses=4, keep=2)) == [[1, 3], [1, 0]]


def test_the_best_share_of_all_in_each_round() -> None:
    option = BestOfN(responses=4, share=(0.5, 0.25))
    assert chosen(option) == [[1, 3], [1, 0]]
    assert chosen(option, turn=2) == [[], [1, 0]], "a hard prompt is left out"
    assert chosen(option, turn=3) == chosen(option, turn=2), "the last share is that of all that follow"


def test_rejection_keeps_what_the_optimum_would_say() -> None:
    """exp((score - highest) / temper): at a temper of 0.01 nothing but the best of the pool is left."""
    kept = chosen(Rejection(responses=4, keep=1, temper=0.01))
    assert kept == [[1], [1]]
    known = chosen(Rejection(responses=4, keep=4, temper=0.01, highest=5.5))
    assert known == [[], [1]], "with a known maximum a prompt may keep none"


def answered(b: int, responses: Any, scores: Any) -> Answered:
    said = dataclasses.replace(spoken(prompt(b), responses), scores=tuple(scores))
    none = [[0.0] * len(r) for r in responses]
    return Answered(prompt(b), responses, none, [True] * len(responses), said, list(scores))


ANSWERS = [
    answered(0, [[5, EOS], [6, 6, EOS], [7, EOS], [8, EOS]], SCORES[0]),
    answered(1, [[3, EOS], [4, EOS], [9, EOS], [10, EOS]], SCORES[1]),
]


def made(preset: str, turn: int = 1, answers: Any = ANSWERS, **sampling: Any) -> tuple[Any, Counts]:
    parts, counts = composed(f"algo={preset}"), Counts()
    parts = dataclasses.replace(parts, sampling=dataclasses.replace(parts.sampling, responses=4, **sampling))
    return rows_of(answers, parts, counts, torch.Generator().manual_seed(0), turn), counts


def test_the_best_answers_are_imitated() -> None:
    rows, _ = made("raft")
    assert [(tuple(row.prompt), row.responses, list(row.demo or ())) for row in rows] == [
        ((1, 11), [[6, 6, EOS]], [1.0]),
        ((1, 12), [[4, EOS]], [1.0]),
    ]


def test_a_threshold_that_rises_leaves_prompts_out() -> None:
    rows, counts = made("rest", turn=3)
    assert [row.responses for row in rows] == [[[4, EOS]]]
    assert counts.dropped == {"no response kept": 1} and (counts.read, counts.kept) == (2, 1)


def test_kept_answers_are_compared() -> None:
    rows, _ = made("rso", keep=2, temper=10.0)
    assert len(rows) == 2
    for row in rows:
        assert row.prefer == ((0.0, 1.0), (0.0, 0.0)) and row.scores is not None
        assert row.scores[0] > row.scores[1], "the better one first"


def test_equal_answers_are_no_pair() -> None:
    twice = answered(0, [[5, EOS]] * 4, [2.0, 2.0, 1.0, 1.0])
    rows, counts = made("slic_hf_rank", answers=[twice])
    assert rows == [] and set(counts.dropped) & {"identical responses", "tie"}


# --- texts keep the tokens that said them


@pytest.fixture(scope="module")
def tokenizer() -> Any:
    return train_bpe(
        ["the theme then there of them", "naïve café über straße – größe 東京 東京都 ☃"] * 8, 300
    )


def other_ways(tokenizer: Any, text: str) -> list[int]:
    """The text byte by byte: ids that its own tokenisation would merge."""
    known = tokenizer.get_vocab()
    return [known[piece] for token in tokenizer.tokenize(text) for piece in token]


@pytest.mark.parametrize("text", [" the theme", "naïve café", "東京都 ☃", "– größe"])
def test_another_tokenisation_is_not_taken(tokenizer: Any, text: str) -> None:
    ids = other_ways(tokenizer, text)
    assert ids != ids_of(text, tokenizer) and len(ids) > len(ids_of(text, tokenizer)), "merges apply"
    asked = Prompt((1, *ids_of("of", tokenizer)), (), Record("of", (), where="p:1"))
    record = said_in_text(tokenizer)(asked, [[*ids, EOS]])
    assert record.responses == (text,) and ids_said(record.responses[0]) == (*ids, EOS)
    answer = Answered(
        asked, [[*ids, EOS]], [[0.0]], [True], dataclasses.replace(record, scores=(1.0,)), [1.0]
    )
    (row,) = made("raft", answers=[answer])[0]
    assert list(row.responses[0]) == [*ids, EOS]


def test_a_merge_across_the_boundary_stays_apart(tokenizer: Any) -> None:
    """Prompt "the" and answer "m": as one text they are other tokens."""
    prompt_ids, answer_ids = ids_of("the", tokenizer), ids_of("m", tokenizer)
    assert ids_of("them", tokenizer) != [*prompt_ids, *answer_ids]
    asked = Prompt(tuple(prompt_ids), (), Record("the", ()))
    record = said_in_text(tokenizer)(asked, [answer_ids])
    assert record.responses == ("m",) and ids_said(record.responses[0]) == tuple(answer_ids)


def test_copies_and_other_processes_keep_them() -> None:
    for made in (copy.deepcopy(Spoken("a", [3, 4])), pickle.loads(pickle.dumps(Spoken("a", [3, 4])))):
        assert made == "a" and ids_said(made) == (3, 4)


def test_half_a_character_is_still_the_tokens_that_were_said(tokenizer: Any) -> None:
    ids = other_ways(tokenizer, "東")[:2]
    asked = Prompt(tuple(ids_of("of", tokenizer)), (), Record("of", ()))
    (text,) = said_in_text(tokenizer)(asked, [ids]).responses
    assert ids_said(text) == tuple(ids) and "\ufffd" in text


def test_an_answer_to_messages_is_a_turn(tokenizer: Any) -> None:
    turns = (Message("user", "the"),)
    (text,) = said_in_text(tokenizer)(Prompt((5,), (), Record(turns, ())), [[6, 7]]).responses
    assert text[0].role == "assistant" and isinstance(text[0].content, Spoken)
    assert ids_said(text) == (6, 7)


def test_prompts_come_once_with_their_end_and_their_template(tokenizer: Any) -> None:
    records = [Record("of them", ("a", "b"), ranks=(0, 1)), Record("of them", ("c",)), Record("the", ())]
    counts = Counts()
    found = prompts_of(records, tokenizer, OnPolicy(prompt_template="Then: {prompt}"), 4, counts)
    assert [p.record for p in found] == [Record("of them", ()), Record("the", ())] and counts.kept == 2
    assert counts.dropped == {"prompt that came before": 1} and counts.noted == {"start of the prompt cut": 2}
    whole = rendered_ids(tokenizer, "Then: of them")
    assert found[0].shown == (whole[0], *whole[-3:]) and len(found[0].ids) <= 4


def rendered_ids(tokenizer: Any, text: str) -> list[int]:
    from xpo.data.record import Example

    return ids_of(rendered(Example(text, ()), tokenizer)[0], tokenizer)
