"""The merged likelihood term by hand."""

from __future__ import annotations

import dataclasses
from itertools import product
from typing import Any, Literal

import pytest
import torch

from xpo.contracts import StepTotals
from xpo.sft.merged import Merged
from xpo.sft.none import NoSFT
from xpo.sft.separate import Separate
from xpo.testing import Toy, failures, toy


def example() -> Toy:
    """Two rows, the second of weight 2; the first response of 2 and 4 tokens is demonstrated.

    Tokens cost 1 nat in row 0 and 0.5 in row 1; the prompts have 2 and 3 scored tokens at 0.25 nats.
    """
    t = toy(rows=2, responses=3, tokens=4, ragged=False)
    mask = torch.ones(2, 3, 4, dtype=torch.bool)
    mask[0, 0, 2:] = False
    logp = torch.tensor([-1.0, -0.5]).double()[:, None, None].expand(2, 3, 4)
    t = t.replace(
        mask_BKT=mask,
        weight_B=torch.tensor([1.0, 2.0]).double(),
        demo_BK=torch.tensor([[1.0, 0, 0], [1.0, 0, 0]]).double(),
        totals=StepTotals(rows=3.0, tokens=10.0, micro_batches=1, prompt_tokens=8.0),
    )
    return dataclasses.replace(t, logp_BKT=logp, prompt_logp_BP=torch.full((2, 4), -0.25).double())


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"normalise": "none"}, (2.0 + 2 * 2.0) / 3),
        ({"normalise": "sequence"}, (1.0 + 2 * 0.5) / 3),
        ({"normalise": "batch_tokens"}, (2.0 + 2 * 2.0) / 10),
        ({"normalise": "none", "over": "prompt_and_response"}, (2.5 + 2 * 2.75) / 3),
        ({"normalise": "sequence", "over": "prompt_and_response"}, (2.5 / 4 + 2 * 2.75 / 7) / 3),
        ({"normalise": "batch_tokens", "over": "prompt_and_response"}, (2.5 + 2 * 2.75) / 18),
        ({"normalise": "none", "list_power": 2.0}, 4 * (2.0 + 2 * 2.0) / 3),
        ({"normalise": "none", "list_power": 0.5}, 2**0.5 * (2.0 + 2 * 2.0) / 3),
    ],
)
def test_by_hand(fields: dict[str, Any], expected: float) -> None:
    t = example()
    numerator, denominator = Merged(**fields).term(t.logp_BKT, t.prompt_logp_BP, t.batch)
    assert numerator.item() / denominator == pytest.approx(expected)


def test_list_power_counts_the_responses_that_are_there():
    t = example()
    mask = t.batch.mask_BKT.clone()
    mask[1, 2] = False  # row 1 is a pair: its factor is 1, row 0's is 4
    numerator, _ = Merged(normalise="none", list_power=2.0).term(
        t.logp_BKT, None, t.replace(mask_BKT=mask).batch
    )
    assert numerator.item() == pytest.approx(4 * 2.0 + 1 * 2 * 2.0)


NORMALISE: tuple[Literal["batch_tokens", "sequence", "none"], ...] = ("batch_tokens", "sequence", "none")
OVER: tuple[Literal["response", "prompt_and_response"], ...] = ("response", "prompt_and_response")


@pytest.mark.parametrize(("normalise", "over", "power"), list(product(NORMALISE, OVER, (0.0, 2.0))))
def test_kit_with_these_fields(normalise: Any, over: Any, power: float) -> None:
    assert failures(Merged(0.3, 0.7, normalise, over, power), "sft") == []


def test_every_field_shows_in_the_text():
    texts = {
        Merged(normalise=n, over=o, list_power=p).term_text()
        for n, o, p in product(NORMALISE, OVER, (0.0, 2.0))
    }
    assert len(texts) == 12


def test_others_add_nothing():
    t = example()
    for sft in (NoSFT(), Separate()):
        assert sft.term(t.logp_BKT, None, t.batch) is None


@pytest.mark.parametrize(
    ("cls", "fields", "words"),
    [
        (Merged, {"weight": 0.0}, "weight must be above 0"),
        (Merged, {"preference_weight": -1.0}, "preference_weight must be above 0"),
        (Merged, {"list_power": -1.0}, "list_power must be at least 0"),
        (Separate, {"lr": 0.0}, "lr must be above 0"),
        (Separate, {"epochs": float("nan")}, "epochs must be above 0"),
        (Separate, {"steps": 0}, "steps must be at least 1 or null"),
    ],
)
def test_ranges(cls: type, fields: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        cls(**fields)


def test_prompts_that_were_not_scored_are_an_error():
    t = example()
    with pytest.raises(ValueError, match="needs the prompt's log-probabilities"):
        Merged(over="prompt_and_response").term(t.logp_BKT, None, t.batch)
