"""First values of losses that read scores, whole lists or single responses; the table of all presets."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from tests.stages.first_values import (
    Seen,
    Value,
    alphapo,
    always,
    best,
    both,
    compared,
    each,
    logistic,
    means,
    odds,
    pairs,
    prompt_too,
    softplus,
    sums,
    tokens,
)

LOG2 = math.log(2)


def scores(seen: Seen) -> Sequence[float]:
    assert seen.row.scores is not None
    return seen.row.scores


def labels(seen: Seen) -> list[tuple[float, float]]:
    """Good and bad mass of each response."""
    assert seen.row.good is not None and seen.row.bad is not None
    return list(zip(seen.row.good, seen.row.bad, strict=True))


def odpo(seen: Seen) -> float:
    s = scores(seen)
    return sum(mass * softplus(math.log(s[i] - s[j])) for mass, i, j in pairs(seen.row))


def wpo(seen: Seen) -> float:
    def aligned(k: int) -> float:
        return seen.means[k] - sum(seen.spread[k]) / len(seen.spread[k])

    return sum(mass * min(1.0, math.exp(aligned(i) + aligned(j))) * LOG2 for mass, i, j in pairs(seen.row))


def sppo(seen: Seen) -> float:
    value = 0.0
    for k in range(len(seen.responses)):
        won = sum(mass for mass, i, _ in pairs(seen.row) if i == k)
        lost = sum(mass for mass, _, j in pairs(seen.row) if j == k)
        value += (won + lost) / 2 * ((won / (won + lost) - 0.5) / 1e-3) ** 2
    return value


def pairwise_cringe(seen: Seen) -> float:
    def contrast(k: int) -> float:
        steps = zip(seen.responses[k], seen.rival[k], strict=True)
        return sum(softplus(own - other) for own, other in steps) / len(seen.rival[k])

    def gated(i: int, j: int) -> float:
        gate = 1 / (1 + math.exp((seen.sums[i] - seen.sums[j] + 10) / 10))
        return gate * (-seen.means[i] + 0.005 * contrast(j))

    return sum(mass * gated(i, j) for mass, i, j in pairs(seen.row))


def cringe(seen: Seen) -> float:
    value = 0.0
    for (good, bad), own, other in zip(labels(seen), seen.responses, seen.rival, strict=True):
        value += good * -sum(own) + bad * sum(softplus(a - b) for a, b in zip(own, other, strict=True))
    return value


def by_token(value: Value) -> Value:
    """The sum of a batch over the tokens of its responses, which share their row."""

    def mean(seen: Sequence[Seen]) -> float:
        count = sum(sum(map(len, s.responses)) / len(s.responses) for s in seen)
        return value(seen) * len(seen) / count

    return mean


def unlikelihood(seen: Seen) -> float:
    value = 0.0
    for (good, bad), own in zip(labels(seen), seen.responses, strict=True):
        value -= good * sum(own) + bad * sum(math.log(1 - math.exp(logp)) for logp in own)
    return value


def ilql(seen: Seen) -> float:
    """Q and V begin at 0: the score's own square, a uniform softmax of Q, and imitation."""
    value = 0.0
    for own, score in zip(seen.responses, scores(seen), strict=True):
        value += 2 * score**2 + 0.1 * 2 * len(own) * math.log(seen.vocabulary) - sum(own)
    return value / len(seen.responses)


def dro(seen: Seen) -> float:
    """V and the log-ratio begin at 0."""
    return sum(score**2 / 2 for score in scores(seen)) / len(seen.responses)


def pro(seen: Seen) -> float:
    p, s = seen.means, scores(seen)
    value = -0.05 * (len(p) - 1) ** 2 * seen.sums[0]
    for k in range(len(p) - 1):
        gaps = {j: s[k] - s[j] for j in range(k + 1, len(p))}
        own = math.exp(p[k] * max(gaps.values()))
        value -= math.log(own / (own + sum(math.exp(p[j] * gap) for j, gap in gaps.items())))
    return value


def rrhf(seen: Seen) -> float:
    p = seen.means
    return sum(max(0.0, p[j] - p[i]) for _, i, j in pairs(seen.row)) - seen.sums[0]


def stable_alignment(seen: Seen) -> float:
    p, s = seen.means, scores(seen)
    leads = [p[i] - p[0] + 10 * (s[0] - s[i]) / 7 for i in range(1, len(p))]
    return -p[0] + 0.2 * max(0.0, sum(leads) / len(leads))


def lipo(seen: Seen) -> float:
    """All rewards are equal: places are those of the labels."""
    K = len(seen.responses)
    gain = [2 ** ((K - 1 - k) / (K - 1)) for k in range(K)]
    discount = [1 / math.log(2 + k) for k in range(K)]
    return LOG2 * sum((gain[i] - gain[j]) * (discount[i] - discount[j]) for _, i, j in pairs(seen.row))


def exo_reward(seen: Seen) -> float:
    """KL of the uniform distribution from softmax(scores / 0.5)."""
    s, K = scores(seen), len(seen.responses)
    normaliser = math.log(sum(math.exp(score / 0.5) for score in s))
    return sum((-math.log(K) - score / 0.5 + normaliser) / K for score in s)


@dataclass(frozen=True)
class First:
    """The first loss of a preset, under overrides where the preset itself draws at random."""

    value: Value
    overrides: tuple[str, ...] = ()


ZERO_GAP = (
    "dpo f_dpo chi_po cdpo robust_dpo dpop ld_dpo sdpo tr_dpo tr_dpo_hard step_dpo spin_step tdpo1 tdpo2 "
    "q_star paft beta_dpo dr_dpo dno_pair aot active online_dpo iterative_dpo online_rlhf self_rewarding "
    "spin dno"
)
FIRST: dict[str, First] = {
    name: First(value)
    for name, value in {
        # gaps of log-ratios, which are all 0
        **dict.fromkeys(ZERO_GAP.split(), always(LOG2)),
        "gpo": always(1.0),
        "rso": always(1.0),
        **dict.fromkeys(("ipo", "online_ipo"), always(25.0)),
        "iterative_rpo": both(always(LOG2), each(lambda seen: -seen.means[0]), 1.0),
        "exo": always(-LOG2 - math.log(1e-3 * (1 - 1e-3)) / 2),
        "r_dpo": logistic(lambda seen: [0.01 * len(tokens) for tokens in seen.responses]),
        "odpo": each(odpo),
        "wpo": each(wpo),
        # log-ratios of single responses, 0 too
        "kto": always(0.5),
        "bco": always(LOG2),
        "aot_unpaired": always(LOG2),
        "apo_zero": always(1.0),
        "apo_zero_unpaired": always(0.5),
        "apo_down": always(1.0),
        "nca": always(2 * LOG2),
        **dict.fromkeys(("d2o", "d2o_self"), always(LOG2)),
        "npo": both(always(2 / 0.1 * LOG2), tokens, 1.0),
        "cal_dpo": always(LOG2 + 2 * 0.5 * 500.0**2),
        "sppo_pair": each(sppo),
        "dro": each(dro),
        # lists
        "pl_dpo": each(lambda seen: math.log(math.factorial(len(seen.responses)))),
        "infonca": each(lambda seen: math.log(len(seen.responses))),
        "nca_reward": always(2 * LOG2),
        "exo_reward": each(exo_reward),
        "lipo": each(lipo),
        # without a reference
        **dict.fromkeys(("sft", "raft", "rest"), tokens),
        "simpo": logistic(means(2.0), margin=1.0),
        "alphapo": logistic(alphapo, margin=0.1),
        "cpo": both(logistic(sums(0.1)), each(best), 1.0),
        "cpo_simpo": both(logistic(means(10.0), margin=5.4), tokens, 0.05),
        **dict.fromkeys(
            ("slic_hf", "slic_hf_rank"),
            both(compared(lambda gap: max(0.0, 1.0 - gap), sums(1.0)), each(best), 0.1),
        ),
        "orpo": both(prompt_too, logistic(odds), 0.1),
        "pro": each(pro),
        "rrhf": each(rrhf),
        **dict.fromkeys(("stable_alignment", "sandbox"), each(stable_alignment)),
        "unlikelihood": by_token(each(unlikelihood)),
        "ilql": by_token(each(ilql)),
    }.items()
} | {
    "cringe": First(by_token(each(cringe)), ("objective.top=1",)),
    **dict.fromkeys(
        ("pairwise_cringe", "iterative_cringe"), First(each(pairwise_cringe), ("objective.top=1",))
    ),
    "sppo": First(each(sppo), ("objective.itself=false", "reward=implicit", "reward.beta=1e-3")),
}
