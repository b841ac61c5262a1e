"""The stages in their order, and what they leave."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import torch
import yaml

from xpo.arrows import Arrow, arrow_of, formula_of
from xpo.compose.composition import Composition
from xpo.compose.groups import AXES
from xpo.errors import Waiting
from xpo.run.card import Card
from xpo.run.console import render_outcome
from xpo.run.export import export_model, support_settings
from xpo.run.files import write_text
from xpo.run.log import MetricLog, RunInfo, logged
from xpo.run.manifest import Manifest
from xpo.run.ranks import rank
from xpo.run.samples import Generation, Question, write_samples
from xpo.run.say import say, settings, shown
from xpo.run.summary import write_summary
from xpo.scoring.parts import output_idle
from xpo.stages.alignment import Alignment
from xpo.stages.between import between_of
from xpo.stages.comparisons import Take
from xpo.stages.opening import first_of_all, head_of, opened
from xpo.stages.query import queried
from xpo.stages.revision import with_revisions
from xpo.stages.reward_model import leave_reward_model
from xpo.stages.rollouts import align_on_rollouts
from xpo.stages.rounds import align_in_rounds
from xpo.stages.sampler import Expected, Renewal, questions
from xpo.stages.samples import held_out_samples
from xpo.stages.setting import Setting
from xpo.stages.source import Policy

PRESET_KEYS = ("algo", "survey", "hp")
"""Root keys that say where a composition comes from, not what it is."""


def run(
    composition: Composition, out: Path, argv: list[str], begin: float, take: Take | None = None
) -> dict[str, float]:
    """Data, model, sft, align, export; returns the final metrics. ``take`` is of ``Setting``."""
    torch.manual_seed(composition.seed)
    if composition.trainer.threads is not None:
        torch.set_num_threads(composition.trainer.threads)
    mine = out if rank() == 0 else out / f".rank-{rank()}"
    info = RunInfo(mine, f"{composition.config['algo']['name']}/{out.name}", composition.config)
    write_text(
        _made(mine) / "config.yaml", yaml.safe_dump(composition.config, sort_keys=False, allow_unicode=True)
    )
    say(f"{composition.config['algo']['title']}: everything goes to {shown(out)}")
    say(settings(composition.config))
    with MetricLog(info, composition.logger, rank()) as log:
        places = mine, Path(composition.config["cache"]), Manifest(mine), log, out / "checkpoints"
        setting = Setting(composition, *places, take=take)
        try:
            return _stages(setting, argv, begin)
        except Waiting as wanted:
            about = {"left": wanted.left, "total": wanted.total, "reason": str(wanted)}
            seconds = time.monotonic() - begin
            write_summary(mine, "waiting", {}, seconds, algo=composition.config["algo"]["name"], **about)
            raise


def _made(path: Path) -> Path:
    path.mkdir(parents=True, exist_ok=True)
    return path


def _stages(setting: Setting, argv: list[str], begin: float) -> dict[str, float]:
    setting = first_of_all(with_revisions(setting))
    c, manifest = setting.composition, setting.manifest
    arrow = arrow_of(c)
    manifest.record(argv=argv, axes=axes(c), seeds={"run": c.seed}, formula=formula_of(arrow).text)
    run = opened(setting, arrow.needs)
    source, policy, rows, collector = run.source, run.policy, run.rows, run.collector
    measure = source.measure(policy)
    before = dict(measure(policy.model)) if measure is not None and not c.reward.trains_head else {}
    if not c.reward.trains_head:
        _sample(setting, policy, questions(rows, collector), "before")
    head = head_of(setting, run)
    critic = c.critic.build(policy.model, c.seed)
    with manifest.stage("align"):
        renew = None if collector is None or c.schedule.online else Renewal(setting, collector)
        if source.renews:
            renew = Expected(source, policy, arrow.needs)
        if head is not None and renew is not None:  # once, as long as it is a policy
            rows, renew = renew(1, None), None
        rows = rows if setting.take is None else setting.take(rows)
        alignment = Alignment(
            *(setting, policy, arrow, rows, measure, critic, head),
            renew=renew,
            finish=run.finish,
            between=between_of(setting, collector),
            samples=None
            if collector is None or measure is not None
            else partial(held_out_samples, collector),
        )
        if c.query.chooses:
            alignment = queried(alignment, run.pool)
        with output_idle(policy.model, head is not None and not c.sft.merges):
            if collector is not None and c.schedule.online:
                metrics = align_on_rollouts(alignment, collector)
            else:
                metrics = align_in_rounds(alignment)
    with manifest.stage("export"):
        if head is not None:
            leave_reward_model(alignment, source.demonstrations().train, metrics)
        else:
            policy = dataclasses.replace(policy, decoding=None if critic is None else critic.decoding)
            _sample(setting, policy, questions(rows, collector), "after")
            _export(setting, policy, arrow, metrics)
    return _finish(setting, before, measure, metrics, begin)


def axes(c: Composition) -> dict[str, str]:
    """The 13 values by name."""
    return {axis: c.option(axis) for axis in AXES}


def _sample(setting: Setting, policy: Policy, asked: Sequence[Question], when: str) -> None:
    option = setting.composition.eval
    asked = asked[: option.samples]
    if not asked or rank() != 0:
        return
    settings = Generation(option.max_new_tokens, option.temperature, option.top_p, setting.composition.seed)
    write_samples(setting.out / "samples.jsonl", policy, asked, settings, when)


def _export(setting: Setting, policy: Policy, arrow: Arrow, metrics: Mapping[str, float]) -> None:
    c = setting.composition
    if rank() != 0:
        return
    support = policy.scoring.support
    card = Card(
        method=c.config["algo"]["name"],
        title=c.config["algo"]["title"],
        paper=c.config["algo"]["paper"],
        formula=formula_of(arrow).text,
        axes=axes(c),
        dataset=str(c.config["data"].get("path") or c.option("data")),
        base_model=c.config["model"].get("path"),
        settings={key: _settings(key, value) for key, value in c.config.items() if key not in PRESET_KEYS},
        metrics=metrics,
        adapter=c.adapter.adapts and not c.adapter.merge,
        decoding=None if policy.decoding is None else policy.decoding.recipe,
    )
    generation = support_settings(support, policy.tokenizer.eos_token_id) if support is not None else {}
    beside = None if policy.decoding is None else policy.decoding.save
    export_model(
        c.adapter.export(policy.model), policy.tokenizer, setting.out / "model", card, generation, beside
    )


def _settings(key: str, value: Any) -> Any:
    """A group's settings; the name of an axis's option stands in the card's table of axes."""
    return {k: v for k, v in value.items() if k != "name"} if key in AXES else value


def _finish(
    setting: Setting, before: Mapping[str, float], measure: Any, metrics: dict[str, float], begin: float
) -> dict[str, float]:
    c = setting.composition
    seconds = time.monotonic() - begin
    if rank() == 0:
        about = {
            "algo": c.config["algo"]["name"],
            "axes": axes(c),
            "seed": c.seed,
            "model": str(setting.out / "model"),
        }
        write_summary(setting.out, "done", metrics, seconds, **about)
        # the reference may be another model, or none: what stands beside the result is its own start
        columns = {"before": {**logged(setting.log.path, 0), **before}, "after": metrics}
        if measure is not None and measure.optimum and not c.reward.trains_head:
            columns["optimum"] = measure.optimum
        title = (
            f"{c.config['algo']['title']} ({', '.join(f'{g}={c.option(g)}' for g in ('data', 'divergence'))})"
        )
        say(render_outcome(columns, title=title, seconds=seconds, where=shown(setting.out)))
    return metrics
