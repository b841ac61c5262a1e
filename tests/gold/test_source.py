"""The data option as a run sees it: what is drawn for which declarations, and what is refused."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor

from xpo.anchor.none import NoAnchor
from xpo.annotator.base import Desk
from xpo.annotator.gold import Gold as GoldAnnotator
from xpo.arity.list import List
from xpo.arity.pair import Pair
from xpo.arity.single import Single
from xpo.compose import Refused, build, compose_config
from xpo.constraint.none import NoConstraint
from xpo.data.gold import Gold
from xpo.divergence.reverse_kl import ReverseKL
from xpo.feedback.binary import Binary
from xpo.feedback.demonstration import Demonstration
from xpo.feedback.preference import Preference
from xpo.gold.source import GoldSource
from xpo.label_noise.none import NoNoise
from xpo.length.shared_length import SharedLength
from xpo.length.sum import Sum
from xpo.margin.none import NoMargin
from xpo.objective.logistic import Logistic
from xpo.objective.prospect import Prospect
from xpo.polarity.both import Both
from xpo.reference.frozen import Frozen
from xpo.reward.implicit import Implicit
from xpo.reward_level.response import ResponseLevel
from xpo.sampling.off_policy import OffPolicy
from xpo.scoring.score import Scoring
from xpo.sft.separate import Separate
from xpo.stages.source import Policy
from xpo.weighting.none import NoWeighting

SMALL = {"prompts": 3, "symbols": 3, "max_symbols": 2, "seed": 7}


def composed(**changed: Any) -> Any:
    parts: dict[str, Any] = {
        "annotator": GoldAnnotator(),
        "feedback": Preference(),
        "arity": Pair(),
        "length": Sum(),
        "objective": Logistic(),
        "divergence": ReverseKL(),
        "reward": Implicit(beta=0.5),
        "reward_level": ResponseLevel(),
        "polarity": Both(),
        "margin": NoMargin(),
        "label_noise": NoNoise(),
        "weighting": NoWeighting(),
        "anchor": NoAnchor(),
        "sft": Separate(),
        "reference": Frozen(),
        "sampling": OffPolicy(),
        "constraint": NoConstraint(),
        "seed": 0,
    }
    return SimpleNamespace(**(parts | changed))


@pytest.fixture
def start(model: Any, scoring: Scoring) -> Policy:
    return Policy(model, None, scoring, trained=True)


def opened(changed: dict[str, Any] | None = None, **option: Any) -> GoldSource:
    return Gold(**SMALL, **option).open(composed(**(changed or {})), Desk(Path("unused")))


def test_population_holds_every_response_once(start: Policy) -> None:
    rows = opened().rows(start, frozenset({"comparisons"}))
    assert rows.population and len(rows.train) == 3 and rows.probes is None
    assert all(len(row.responses) == 12 and row.good is None for row in rows.train)


def test_mismatched_objective_gets_exact_probes(start: Policy) -> None:
    changed = {"objective": Prospect(), "feedback": Binary(), "arity": Single()}
    rows = opened(changed).rows(start, frozenset({"labels"}))
    assert rows.probes is not None and len(rows.probes) == 3
    assert all(sum(row.demo or ()) == pytest.approx(1) for row in rows.probes)


def test_where_labels_come_from_follows_the_feedback(start: Policy) -> None:
    needs = frozenset({"labels"})
    single = {"objective": Prospect(), "arity": Single()}
    sides = opened(single | {"feedback": Preference()}).rows(start, needs).train[0]
    verdicts = opened(single | {"feedback": Binary()}).rows(start, needs).train[0]
    assert sum(sides.good or ()) == pytest.approx(0.5)
    assert verdicts.good is not None and verdicts.good != pytest.approx(sides.good)


@pytest.mark.parametrize(
    ("changed", "size"), [({"arity": List()}, 4), ({"length": SharedLength(alpha=0.5)}, 2)], ids=str
)
def test_rows_whose_responses_matter_together_are_drawn(
    start: Policy, changed: dict[str, Any], size: int
) -> None:
    rows = opened(changed, records=30).rows(start, frozenset({"comparisons"}))
    assert not rows.population and len(rows.train) == 30
    assert all(len(row.responses) == size for row in rows.train)


def test_demonstrations_are_exact_or_drawn(start: Policy) -> None:
    assert opened().demonstrations().population
    drawn = opened(demonstrations=10).demonstrations()
    assert len(drawn.train) == 12 and not drawn.population  # 4 rounds of 3 prompts
    feedback = {"feedback": Demonstration(), "arity": Single()}
    assert opened(feedback).rows(start, frozenset({"demonstrations"})).population


@pytest.mark.parametrize(
    ("changed", "size"),
    [
        ({}, 2),
        ({"arity": List()}, 4),
        ({"objective": Prospect(), "feedback": Binary(), "arity": Single()}, 1),
        ({"objective": Prospect(), "feedback": Preference(), "arity": Single()}, 1),
    ],
)
def test_sampled_rows_go_through_the_components(start: Policy, changed: dict[str, Any], size: int) -> None:
    source = opened(changed, mode="sampled", records=60)
    rows = source.rows(start, frozenset())
    assert not rows.population and rows.test
    assert {len(row.responses) for row in rows.train} == {size}
    world = source.world
    assert all(tuple(row.prompt) in world.prompt_ids for row in rows.train)
    assert all(tuple(ids) in world.response_ids for row in rows.train for ids in row.responses)
    counts = source.counts()
    assert counts["train"]["read"] == 60 and counts["train"]["kept"] == len(rows.train)


def test_runs_draw_other_samples_and_the_same_ones_again(start: Policy) -> None:
    def drawn(seed: int) -> list[Any]:
        return [
            r.responses
            for r in opened({"seed": seed}, mode="sampled", records=30).rows(start, frozenset()).train
        ]

    assert drawn(1) == drawn(1) != drawn(2)


def test_sizes_that_nothing_would_read_are_refused() -> None:
    with pytest.raises(Refused, match="data.records is not read") as unread:
        build(compose_config(["data.records=5"]))
    assert unread.value.nearest == ("data.mode=sampled",)
    with pytest.raises(Refused, match="data.responses must be at least 2") as small:
        build(compose_config(["data.mode=sampled", "data.responses=1"]))
    assert small.value.nearest == ("data.responses=2",)
    with pytest.raises(ValueError, match="responses must be null or 1 to 12"):
        Gold(**SMALL, responses=13)


def test_a_window_that_is_too_short_is_refused() -> None:
    with pytest.raises(
        ValueError, match="rows are 6 tokens long, the model's window is 5; set model.max_length=6"
    ):
        opened().tokenize(None, 5)


def test_ruler_measures_start_as_0_and_states_the_optimum(start: Policy) -> None:
    source = opened()
    ruler = source.measure(start)
    at_start = ruler(start.model)
    assert at_start["gold/gap_closed"] == pytest.approx(0, abs=1e-9)
    assert ruler.optimum["gold/gap_closed"] == pytest.approx(1)
    assert ruler.optimum["gold/kl_to/reverse_kl"] == pytest.approx(0, abs=1e-9)
    distances = {name: value for name, value in ruler.optimum.items() if name.startswith("gold/kl_to/")}
    others = sorted(value for name, value in distances.items() if name != "gold/kl_to/reverse_kl")
    assert others[0] > 0.001 and ruler.optimum["gold/kl_to_nearest_other"] == others[0]


def test_ruler_without_a_target(start: Policy) -> None:
    changed = {"objective": Prospect(), "feedback": Binary(), "arity": Single()}
    ruler = opened(changed).measure(start)
    assert ruler.optimum == {} and "gold/gap_closed" not in ruler(start.model)


def test_fingerprint_is_that_of_the_world_and_the_labels() -> None:
    same = {opened().fingerprint(), opened({"length": SharedLength(alpha=0.5)}).fingerprint()}
    other = {
        opened(demonstrations=5).fingerprint(),
        opened({"annotator": GoldAnnotator(noise=0.1)}).fingerprint(),
    }
    assert len(same) == 1 and len(same | other) == 3


def test_exported_folder_generates_responses_of_the_world_only(
    model: Any, scoring: Scoring, tmp_path: Any
) -> None:
    from transformers import AutoModelForCausalLM, AutoTokenizer, set_seed

    from xpo.gold.world import World
    from xpo.run.export import support_settings

    world = World(**SMALL)
    settings = support_settings(world.support(), world.tokenizer().eos_token_id)
    model.generation_config.update(**settings, do_sample=True)
    model.save_pretrained(tmp_path)
    world.tokenizer().save_pretrained(tmp_path)
    loaded = AutoModelForCausalLM.from_pretrained(tmp_path)
    tokenizer = AutoTokenizer.from_pretrained(tmp_path)
    set_seed(0)
    for text, ids in zip(world.prompt_texts, world.prompt_ids, strict=True):
        prompt = tokenizer(text, return_tensors="pt", return_token_type_ids=False)
        answers: Tensor = loaded.generate(**prompt, num_return_sequences=200)[:, len(ids) :]
        for answer in answers.tolist():
            assert tuple(t for t in answer if t != tokenizer.pad_token_id) in world.response_ids
        seen = {tuple(answer) for answer in answers.tolist()}
        assert len(seen) > 5 and torch.isfinite(answers.double()).all()
