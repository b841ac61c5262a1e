"""What is done before an alignment: data, model, fine-tuning, rows or who samples them, a head."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any

from xpo.annotator.base import Desk
from xpo.data.pool import Pool
from xpo.model.loaded import Loaded
from xpo.model.scorer import begin_with
from xpo.on_policy.collect import Collector
from xpo.reward_model.heads import RewardHead
from xpo.run.manifest import hash_template, hash_tokenizer
from xpo.run.say import say
from xpo.scoring.path import choose_path
from xpo.scoring.score import Scoring
from xpo.stages.alignment import Finish
from xpo.stages.parallel import run_branch
from xpo.stages.pretraining import run_pretraining
from xpo.stages.reward_first import with_reward_model
from xpo.stages.sampler import beside, meet, sampler
from xpo.stages.setting import Setting
from xpo.stages.sft import run_sft, wanted
from xpo.stages.source import Policy, Rows, Source
from xpo.stages.weights import weighed


@dataclass(frozen=True)
class Opened:
    """``rows`` are given, or stand beside what ``collector`` samples, or are those of a ``pool``, unlabelled.

    ``loaded`` is the model as it came.
    """

    source: Source
    policy: Policy
    loaded: Loaded
    rows: Rows
    collector: Collector | None
    finish: Finish | None
    pool: Pool | None = None


def first_of_all(setting: Setting) -> Setting:
    """The setting whose annotator can label: what it needs a model for is trained."""
    if not setting.composition.annotator.first:
        return setting
    with setting.manifest.stage("reward_model"):
        # in the run's one folder, so that other ranks find it there
        trained = with_reward_model(setting.composition, setting.checkpoints.parent)
    return dataclasses.replace(setting, composition=trained, first=setting.composition)


def opened(setting: Setting, needs: frozenset[str]) -> Opened:
    """``needs``: what rows that are given must carry."""
    c, manifest = setting.composition, setting.manifest
    source: Source = c.data.open(c, Desk(setting.cache, setting.out, c.seed))
    meet(c)
    with manifest.stage("load"):
        policy, loaded = _load(setting, source)
    policy = _fine_tuned(setting, source, policy, loaded)
    policy = dataclasses.replace(policy, model=c.adapter.apply(policy.model, c.seed))
    draws = c.sampling.samples and not source.renews
    collector = sampler(setting, source, policy) if draws else None
    pool = source.pool(policy, needs) if c.query.chooses and collector is None else None
    if pool is not None:
        rows = Rows(pool.candidates, pool.test, limits=pool.limits)
    else:
        rows = source.rows(policy, needs) if collector is None else beside(setting, source)
    manifest.record(dropped_rows=source.counts(), hashes={"data": source.fingerprint()})
    finish = run_branch(setting, source, policy, rows) if c.sft.parallel else None
    given = collector is None and pool is None
    rows, facts = weighed(c, policy, rows) if given else (rows, {})
    if facts:
        manifest.record(weighting=facts)
    return Opened(source, policy, loaded, rows, collector, finish, pool)


def head_of(setting: Setting, run: Opened) -> RewardHead | None:
    """The head of a reward model, as its training begins; None where a policy is trained."""
    c, model = setting.composition, run.policy.model
    if not c.reward.trains_head:
        return None
    head = c.reward.build(c.reward_form, model, c.seed)
    if run.loaded.head is not None:
        begin_with(head, run.loaded.head, c.config)
    if c.pretraining.applies:
        with setting.manifest.stage("pretraining") as entry:
            entry["training_seconds"] = run_pretraining(setting, run.source, run.policy, head)
    return head


def window(model: Any) -> int:
    """How many positions the model has."""
    return int(model.config.get_text_config().max_position_embeddings)


def _fine_tuned(setting: Setting, source: Source, policy: Policy, loaded: Loaded) -> Policy:
    reason = wanted(setting, source, loaded)
    if reason is not None:
        setting.manifest.skip("sft", reason)
        return policy
    with setting.manifest.stage("sft") as entry:
        entry["training_seconds"] = run_sft(setting, source, policy, loaded)
    return dataclasses.replace(policy, trained=True)


def _load(setting: Setting, source: Source) -> tuple[Policy, Loaded]:
    c = setting.composition
    loaded = c.model.load(seed=c.seed, texts=source.texts, tokenizer=source.tokenizer)
    source.tokenize(loaded.tokenizer, window(loaded.model))
    path, why = choose_path(loaded.model)
    if path != "shared":
        say(f"SLOW PATH: every response runs as a row of its own, because {why}")
    scoring = Scoring(path=path, support=source.support)
    setting.manifest.record(
        scoring={"path": path, "reason": why},
        hashes={
            "initial_weights": loaded.fingerprint,
            "tokenizer": hash_tokenizer(loaded.tokenizer),
            "template": hash_template(loaded.tokenizer),
        },
    )
    return Policy(loaded.model, loaded.tokenizer, scoring, trained=not loaded.untrained), loaded
