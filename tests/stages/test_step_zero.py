"""Losses at the first step, through the real collator, scoring pass and module.

With a reference they are known numbers, because every log-ratio is 0. Without one the oracle is a loop over
the model's own logits in plain Python, response by response, that shares no code with the scoring pass.
"""

import math
from functools import cache

import pytest
import torch

from xpo.arrow import OffPolicy
from xpo.compose import build, compose_config
from xpo.contracts import Probes, Row
from xpo.data.collate import Collator
from xpo.data.loader import totals_of
from xpo.gold.world import World
from xpo.model.scratch import Scratch
from xpo.module.off_policy import OffPolicyModule
from xpo.reference.prepared import Prepared, standing
from xpo.scoring.score import Scoring

DIVERGENCES = ("reverse_kl", "forward_kl", "js", "alpha", "hellinger", "jeffreys", "chi2_kl", "none")
BEGINNING = {
    ("algo=dpo",): math.log(2),
    **{("algo=f_dpo", f"divergence={name}"): math.log(2) for name in DIVERGENCES},
    ("algo=dpo", "label_noise=smoothing"): math.log(2),
    ("algo=dpo", "length=mean"): math.log(2),
    ("algo=dpo", "length=shared_length"): math.log(2),
    ("algo=dpo", "objective=hinge"): 1.0,
    ("algo=dpo", "polarity=negative"): math.log(2),
    ("algo=ipo",): 25.0,
    ("algo=ipo", "length=sum", "objective.tau=0.5"): 1.0,
    ("algo=kto",): 0.5,
    ("algo=kto", "objective.desirable_weight=2", "objective.undesirable_weight=2"): 1.0,
}


@pytest.fixture(scope="module")
def model():
    return Scratch(hidden=32, layers=2, heads=2, max_length=64).build(World().tokenizer(), seed=3)


def rows(B, K):
    """B prompts of unlike length with K responses of unlike length, the best first."""
    made = []
    for b in range(B):
        responses = [[3 + (b + k + t) % 8 for t in range(1 + (2 * b + 3 * k) % 5)] + [2] for k in range(K)]
        compared = (
            [[2.0 / (K * (K - 1)) if i < j else 0.0 for j in range(K)] for i in range(K)] if K > 1 else None
        )
        good = [1.0 / K if k % 2 == b % 2 else 0.0 for k in range(K)]
        bad = [1.0 / K - mass for mass in good]
        scores = [1.0 - 0.3 * k for k in range(K)]
        margins = [[s - other for other in scores] for s in scores]
        wins = [[1 / (1 + math.exp(-margin)) for margin in line] for line in margins]
        prompt = [1] + [11 + (b + i) % 4 for i in range(1 + b)]
        made.append(
            Row(
                prompt,
                responses,
                prefer=compared,
                good=good,
                bad=bad,
                demo=[1.0] + [0.0] * (K - 1),
                scores=scores,
                wins=wins,
                margins=margins,
            )
        )
    return made


@cache
def composed(*overrides):
    return build(compose_config(list(overrides)))


def loss(model, overrides, made, reference=True):
    composition = composed(*overrides)
    arrow = OffPolicy.of(composition, composition.reference.given)
    scoring = Scoring()
    batch = Collator(0, prompt_edges=arrow.prompt_edges)(made, range(len(made)), totals_of(made, 1))
    prepared = Prepared(standing(model) if reference else None, scoring, "")
    critic = composition.critic.build(model, 0)
    module = OffPolicyModule(model, arrow, scoring, prepared, composition.optimizer, 1, critic)
    steps = module.settle(Probes((), (batch,)), (batch, module.scores(batch)))
    share, metrics = module.evaluate(batch, steps)
    return share.item(), metrics


@pytest.mark.parametrize("B", [1, 2, 3])
@pytest.mark.parametrize("overrides", BEGINNING, ids=" ".join)
def test_policy_equals_reference(model, overrides, B):
    for K in (1, 2, 3):
        if K == 1 and "algo=kto" not in overrides:
            continue
        listed = [*overrides] if K < 3 or "algo=kto" in overrides else [*overrides, "arity=list"]
        value, metrics = loss(model, listed, rows(B, K))
        assert value == pytest.approx(BEGINNING[overrides], abs=1e-5)
        if "rewards/margins" in metrics:
            assert metrics["rewards/margins"][0].item() == pytest.approx(0.0, abs=1e-5)


def mean_logps(model, row):
    """Mean log-probability of each response from the whole model's own logits."""
    found = []
    for response in row.responses:
        ids = [*row.prompt, *response]
        logits = model(input_ids=torch.tensor([ids])).logits[0].double()
        logps = logits.log_softmax(-1)
        values = [logps[i - 1, ids[i]].item() for i in range(len(row.prompt), len(ids))]
        found.append(sum(values) / len(values))
    return found


@pytest.mark.parametrize("B", [1, 2, 3])
def test_without_a_reference_against_a_loop(model, B):
    made = rows(B, 2)
    means = [mean_logps(model, row) for row in made]

    def mean(values):
        return sum(values) / len(values)

    simpo = mean([math.log1p(math.exp(-(2.0 * (w - v) - 1.0))) for w, v in means])
    assert loss(model, ["algo=simpo"], made, reference=False)[0] == pytest.approx(simpo, abs=1e-5)

    def odds(logp):
        return logp - math.log(1 - math.exp(logp))

    ratio = mean([math.log1p(math.exp(-(odds(w) - odds(v)))) for w, v in means])
    nll, count = 0.0, 0
    for row in made:
        ids = [*row.prompt, *row.responses[0]]
        logps = model(input_ids=torch.tensor([ids])).logits[0].double().log_softmax(-1)
        nll -= sum(logps[i - 1, ids[i]].item() for i in range(1, len(ids)))
        count += len(ids) - 1
    orpo = nll / count + 0.1 * ratio
    assert loss(model, ["algo=orpo"], made, reference=False)[0] == pytest.approx(orpo, abs=1e-5)


@pytest.mark.parametrize("B", [1, 2, 3])
@pytest.mark.parametrize("K", [2, 3])
def test_ranking_against_a_loop(model, B, K):
    made = rows(B, K)
    total = 0.0
    for row in made:
        p, s = mean_logps(model, row), row.scores
        rank = 0.0
        for k in range(K - 1):
            gaps = {j: s[k] - s[j] for j in range(k + 1, K)}
            own = math.exp(p[k] * max(gaps.values()))
            rank -= math.log(own / (own + sum(math.exp(p[j] * gap) for j, gap in gaps.items())))
        total += rank - 0.05 * (K - 1) ** 2 * p[0] * len(row.responses[0])
    assert loss(model, ["algo=pro"], made, reference=False)[0] == pytest.approx(total / B, abs=1e-4)


@pytest.mark.parametrize("B", [1, 2, 3])
def test_imitation_is_the_mean_over_tokens(model, B):
    made = rows(B, 1)
    total = sum(mean_logps(model, row)[0] * len(row.responses[0]) for row in made)
    expected = -total / sum(len(row.responses[0]) for row in made)
    assert loss(model, ["algo=sft"], made, reference=False)[0] == pytest.approx(expected, abs=1e-5)
