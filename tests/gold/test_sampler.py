"""Exact draws of whole responses: their distribution, and every token's log-probability."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import pytest
import torch

from tests.sampler.small import MOST, WORLD, chi_square, gap, generator, policy_of, scored
from xpo.critic.q_and_v import QAndV
from xpo.errors import UserError
from xpo.gold.evaluate import exact_logp, world_batch
from xpo.gold.sampler import GoldSampler
from xpo.reference.prepared import standing
from xpo.sampler.base import Draw, Sampled
from xpo.sampler.generate import Generate
from xpo.sampler.mixture import Mixture
from xpo.sampler.policy import Policy

PROMPTS = WORLD.prompt_ids
LONGEST = WORLD.max_symbols + 1


@pytest.fixture(scope="module")
def policy() -> Policy:
    return policy_of(limited=True)


@pytest.fixture(scope="module")
def other() -> Any:
    return policy_of(seed=1).model


@pytest.mark.parametrize("temperature", [1.0, 0.7])
def test_draws_are_distributed_as_the_policy_is(policy: Policy, temperature: float):
    draw = Draw(3000, temperature, max_new_tokens=LONGEST)
    found = GoldSampler(WORLD)(policy, PROMPTS, draw, generator())
    hot = dataclasses.replace(policy.scoring, temperature=temperature)
    exact_XN = exact_logp(policy.model, hot, world_batch(WORLD))
    for x in range(3):
        assert chi_square(found.responses[x], exact_XN[x]) < MOST
        assert chi_square(found.responses[x], exact_XN[x - 1]) > MOST
    assert gap(found, scored(policy, PROMPTS, found, temperature)) < 1e-5
    assert all(all(row) for row in found.finished)


def test_tempered_tokens_are_not_tempered_responses(policy: Policy):
    found = GoldSampler(WORLD)(policy, PROMPTS, Draw(6000, 0.4, max_new_tokens=LONGEST), generator())
    whole_XN = (exact_logp(policy.model, policy.scoring, world_batch(WORLD)) / 0.4).log_softmax(1)
    assert max(chi_square(found.responses[x], whole_XN[x]) for x in range(3)) > MOST


def test_a_scoring_at_a_temperature_is_not_tempered_twice(policy: Policy):
    hot = dataclasses.replace(policy, scoring=dataclasses.replace(policy.scoring, temperature=0.7))
    draw = Draw(50, 0.7, max_new_tokens=LONGEST)
    assert GoldSampler(WORLD)(hot, PROMPTS, draw, generator()) == GoldSampler(WORLD)(
        policy, PROMPTS, draw, generator()
    )


DRAWS: dict[str, Draw] = {
    "plain": Draw(800, max_new_tokens=LONGEST),
    "all at once": Draw(800, 0.7, 2, 0.9, 1, LONGEST),
    "cut": Draw(800, 1.3, top_k=2, max_new_tokens=2),
    "longer": Draw(800, top_p=0.8, min_new_tokens=2, max_new_tokens=LONGEST),
    "stop strings": Draw(800, stop=(WORLD.response_texts[0],), max_new_tokens=LONGEST),
}


def table(found: Sampled) -> dict[tuple[int, ...], tuple[list[float], bool]]:
    """Of each prompt's different responses, the tokens' log-probabilities and whether they ended."""
    rows = zip(found.responses, found.logps, found.finished, strict=True)
    return {
        (x, *response): (logp, done)
        for x, row in enumerate(rows)
        for response, logp, done in zip(*row, strict=True)
    }


@pytest.mark.parametrize("weight", [0.0, 0.3, 1.0])
@pytest.mark.parametrize("name", DRAWS)
def test_it_gives_what_generate_gives(name: str, weight: float, policy: Policy, other: Any):
    """Two ways to the same distribution: whole tables of one pass, and token after token."""
    draw, host = DRAWS[name], standing(other)
    exact = GoldSampler(WORLD, host, weight) if weight else GoldSampler(WORLD)
    stepwise = Mixture(host, weight) if weight else Generate()
    mine, theirs = (table(engine(policy, PROMPTS, draw, generator())) for engine in (exact, stepwise))
    both = set(mine) & set(theirs)
    assert len(both) >= 0.8 * len(set(mine) | set(theirs))
    for key in both:
        assert mine[key][0] == pytest.approx(theirs[key][0], abs=1e-5)
        assert mine[key][1] == theirs[key][1]


def test_cut_responses_are_not_finished(policy: Policy):
    found = GoldSampler(WORLD)(policy, PROMPTS, Draw(800, max_new_tokens=1), generator())
    assert {len(r) for row in found.responses for r in row} == {1}
    assert not any(done for row in found.finished for done in row)


def test_a_sharp_policy_is_scored_in_float64(policy: Policy):
    sharp = Draw(500, 0.003, max_new_tokens=LONGEST)
    found = GoldSampler(WORLD)(policy, PROMPTS, sharp, generator())
    greedy = exact_logp(policy.model, policy.scoring, world_batch(WORLD))
    assert all(len({tuple(r) for r in row}) < 3 for row in found.responses) and greedy.isfinite().all()


def test_the_tables_row_is_the_prompts(policy: Policy, monkeypatch: pytest.MonkeyPatch):
    """A sampler that took another prompt's row would be seen."""
    turned = list(reversed(PROMPTS))
    found = GoldSampler(WORLD)(policy, turned, Draw(40, max_new_tokens=LONGEST), generator())
    assert gap(found, scored(policy, turned, found)) < 1e-5
    assert gap(found, scored(policy, PROMPTS, found)) > 0.01


def test_random_numbers_do_not_depend_on_other_prompts(policy: Policy):
    draw = Draw(20, max_new_tokens=LONGEST)
    state = torch.get_rng_state()
    many = GoldSampler(WORLD)(policy, PROMPTS, draw, generator())
    one = GoldSampler(WORLD)(policy, PROMPTS[:1], draw, generator())
    assert many.responses[0] == one.responses[0] and torch.equal(torch.get_rng_state(), state)


REFUSED: dict[str, tuple[Callable[[], Any], str]] = {
    "weight": (lambda: GoldSampler(WORLD, None, 2.0), "weight must be 0"),
    "half a mixture": (lambda: GoldSampler(WORLD, None, 0.5), "needs both"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_refusals(case: str):
    make, message = REFUSED[case]
    with pytest.raises(ValueError, match=message):
        make()


def test_only_the_worlds_prompts_and_the_policys_own_distribution(policy: Policy):
    with pytest.raises(ValueError, match=r"\[1, 4\] is no prompt of this gold world"):
        GoldSampler(WORLD)(policy, [[1, 4]], Draw(max_new_tokens=LONGEST), generator())
    critic = QAndV().build(policy.model, 0)
    assert critic is not None
    with pytest.raises(UserError, match="critic"):
        decoded = dataclasses.replace(policy, decoding=critic.decoding)
        GoldSampler(WORLD)(decoded, PROMPTS, Draw(max_new_tokens=LONGEST), generator())
