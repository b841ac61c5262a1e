"""Rows of random numbers: as a batch for the arrow, and as the interpreter of what is printed reads them."""

import functools

import numpy as np
import torch

from tests.explain.interpreter import evaluate
from tests.explain.whole_step import per_row, settled
from xpo.arrow import OffPolicy, Scores
from xpo.compose import build, compose_config
from xpo.contracts import Batch, Packed, StepTotals
from xpo.explain.formula import formula
from xpo.explain.left_open import filled_in
from xpo.explain.matrix_data import UNREAD
from xpo.reward_model.heads import Opinion

SIZES = {"single": [1, 1, 1], "pair": [2, 2, 2], "list": [2, 4, 3]}
T, P = 5, 4
TABLES = ("prefer", "win", "given_margin")


@functools.cache
def arrow_of(*overrides):
    given = filled_in(overrides[0].removeprefix("algo="), "jsonl", UNREAD[0])
    config = compose_config(["data=jsonl", "data.path=unread.jsonl", *given, *overrides])
    if config["pretraining"]["name"] != "none":
        config["data"]["pretraining"] = "unread.jsonl"
    composition = build(config)
    return composition, OffPolicy.of(composition, composition.reference.given)


def random_rows(responses, seed):
    """Rows of random numbers as the interpreter reads them; the policy's are log-probabilities."""
    random = np.random.default_rng(seed)
    rows = []
    for number, k in enumerate(responses):
        length = random.integers(1, T + 1, k)
        prefer = np.triu(random.random((k, k)), 1)
        prompt = -random.random(P if number else P - 1)
        win = random.uniform(0.1, 0.9, (k, k))
        rows.append(
            {
                "K": k,
                "responses": float(k),
                "t": np.arange(1, T + 1),
                "mask": np.arange(T) < length[:, None],
                "length": length.astype(float),
                "shortest": length.min(),
                "logp": -random.random((k, T)) - 0.05,
                "ref_logp": -random.random((k, T)) - 0.05,
                "prefer": prefer / max(prefer.sum(), 1e-9),
                "good": random.random(k),
                "bad": random.random(k),
                "demo": random.dirichlet(np.ones(k)),
                "opponent": (np.arange(k) % 2).astype(float),
                "share": np.full(k, 1 / k),
                "score": random.normal(size=k),
                "win": win / (win + win.T),
                "given_margin": random.random((k, k)),
                "kl_ref": random.random((k, T)),
                "log_sum_p2": -random.random((k, T)),
                "rival": -random.random((k, T)) - 0.05,
                "token_head": random.normal(size=(k, T)),
                "head": random.normal(size=k),
                "prompt_value": np.asarray(random.normal()),
                **{name: random.normal(size=(k, T)) for name in ("value", "slow_q", "q1", "q2")},
                **{name: -random.random((k, T)) for name in ("q1_logp", "q2_logp")},
                "weight": random.uniform(0.5, 2.0),
                "prompt_logp": prompt,
                "prompt_length": float(len(prompt)),
            }
        )
    return rows


def padded(rows, name, fill=0.0):
    """[B, K, ...] from rows of unequal K; what is absent holds ``fill``."""
    most = max(row["K"] for row in rows)
    shape = (
        len(rows),
        most,
        *(
            [most]
            if name in TABLES or (name == "head" and rows[0][name].ndim == 2)
            else rows[0][name].shape[1:]
        ),
    )
    out = np.full(shape, fill, dtype=rows[0][name].dtype)
    for b, row in enumerate(rows):
        out[(b, *(slice(0, size) for size in row[name].shape))] = row[name]
    return torch.from_numpy(out)


def said(rows, name):
    """What a critic says: named by its shape, of a prompt (..._B) or of tokens (..._BKT)."""
    symbol, shape = name.rsplit("_", 1)
    return torch.tensor(np.array([row[symbol] for row in rows])) if shape == "B" else padded(rows, symbol)


def opinion_of(arrow, rows):
    """What a head says: of responses, of their tokens, or of two responses (then the rows are told so)."""
    if arrow.reward_form.of_pairs:
        for row in rows:
            row["head"] = np.subtract.outer(row["head"], row["head"] ** 2)
            row["head"] = row["head"] - row["head"].T
        rewards = [{"reward": row["head"].sum(1) / max(row["K"] - 1, 1), "K": row["K"]} for row in rows]
        return Opinion(padded(rewards, "reward"), padded(rows, "head"))
    if arrow.reward_level.per_token:
        return Opinion(arrow.length.pool(padded(rows, "token_head", 9.0), padded(rows, "mask", False)))
    return Opinion(padded(rows, "head"))


def batch_of(rows):
    weight = torch.tensor([row["weight"] for row in rows], dtype=torch.float64)
    demonstrated = sum(row["weight"] * (row["demo"] * row["length"]).sum() for row in rows)
    prompts = sum(row["weight"] * row["prompt_length"] for row in rows)
    scored = sum(row["weight"] * (row["share"] * row["length"]).sum() for row in rows)
    totals = StepTotals(sum(row["weight"] for row in rows), demonstrated, 1, prompts, scored)
    edges = torch.tensor([[0 if p < row["prompt_length"] else -1 for p in range(P)] for row in rows])
    none = torch.zeros(0, dtype=torch.long)
    packed = Packed(none, none, none, none, none, none, none, prompt_edge_BP=edges)
    batch = Batch(
        packed,
        padded(rows, "mask", False),
        weight,
        torch.arange(len(rows)),
        totals,
        prefer_BKK=padded(rows, "prefer"),
        good_BK=padded(rows, "good"),
        bad_BK=padded(rows, "bad"),
        demo_BK=padded(rows, "demo"),
        rival_BK=padded(rows, "opponent"),
        score_BK=padded(rows, "score"),
        win_BKK=padded(rows, "win", 0.5),
        margin_BKK=padded(rows, "given_margin"),
    )
    return batch, totals


def trained_and_written(overrides, seed=0):
    """The loss that the arrow computes, the number that the text says, and the text."""
    composition, arrow = arrow_of(*overrides)
    rows = random_rows(SIZES[composition.option("arity")], seed)
    if arrow.relabels:  # a win probability per compared pair: the arrow's own symmetric table
        for row in rows:
            row["win"] = 1 / (1 + np.exp(row["score"][None] - row["score"][:, None]))
    batch, totals = batch_of(rows)
    logp, ref_logp = padded(rows, "logp", -9.0), padded(rows, "ref_logp", -8.0)
    if not arrow.given_reference:
        ref_logp = torch.zeros_like(ref_logp)
    prompt_logp = torch.stack(
        [torch.tensor([*row["prompt_logp"], *[-7.0] * (P - len(row["prompt_logp"]))]) for row in rows]
    )
    scores = Scores(
        logp,
        ref_logp,
        prompt_logp.double(),
        {s.name: padded(rows, s.name) for s in arrow.token_statistics},
        {name: said(rows, name) for name in arrow.objective.critic},
        opinion_of(arrow, rows) if arrow.reward.trains_head else None,
    )
    steps, symbols = settled(arrow, batch, scores)
    share = arrow(batch, scores, steps).share
    text = formula(arrow).text
    given = {"rows": totals.rows, "tokens": totals.tokens, "prompt_tokens": totals.prompt_tokens}
    given["scored_tokens"] = totals.scored_tokens
    given |= {n: v.item() for n, v in symbols.items() if not isinstance(v, tuple) and not v.ndim}
    return (
        float(share),
        evaluate(text, [row | own for row, own in zip(rows, per_row(symbols, rows), strict=True)], given),
        text,
    )
