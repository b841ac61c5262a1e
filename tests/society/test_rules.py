"""What a society refuses before anything is loaded, and what the gold world makes of one."""

from __future__ import annotations

from typing import Any

import pytest

from xpo.compose import ConfigError, Refused, build, compose_config
from xpo.sampling.society import Society

FILE = ["algo=sandbox", "data=jsonl", "data.path=x"]
RULE = ["annotator=rule", "annotator.rules=[{name: length, most: 5}]"]
SELF = ["annotator=self"]
DIRECT = ["annotator=direct", "annotator.path=x"]


def built(*overrides: str) -> Any:
    return build(compose_config(list(overrides)))


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"responses": 3}, r"multiple of 1 \+ revisions = 2, .* got 3"),
        ({"agents": 4}, "agents=4 are too few for 2 who answer a prompt, with 4 peers each"),
        ({"agents": 1, "peers": 0, "scores": "observer"}, "agents=1 are too few for 2"),
        ({"similarity": 1.1}, "similarity is a cosine, -1 to 1, got 1.1"),
        ({"recalled": -1}, "recalled must be at least 0, got -1"),
        ({"memory": 0}, "memory must be at least 1, got 0"),
        ({"max_critique_tokens": 0}, "max_critique_tokens must be at least 1"),
        ({"temperature": 0.0}, "temperature must be above 0"),
        ({"prompt_template": "{prompt}!"}, "prompt_template={prompt}! is not read: template says"),
        ({"peers": 0}, "scores=peers is not read: there are no peers"),
        (
            {"peers": 0, "scores": "observer", "peer_model": {"path": "x"}},
            "peer_model={'path': 'x'} is not read: there are no peers",
        ),
        ({"recalled": 0, "memories": "x"}, "memories=x is not read: recalled is 0"),
        ({"revisions": 0}, "recalled=1 is not read: revisions is 0"),
        ({"template": "nowhere"}, "template=nowhere: there is no such file, and xpo brings: back_scatter"),
        ({"peer_model": {"url": "http://u:p@host/v1", "model": "m"}}, "peer_model: url must have no user"),
        ({"peer_model": {"url": "http://host/v1"}}, "peer_model: model is not set"),
    ],
    ids=str,
)
def test_values_that_mean_nothing(values: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        Society(**values)


def test_a_peers_model_is_named_on_the_command_line() -> None:
    with pytest.raises(ConfigError, match="sampling=society: peer_model has no key 'adress'"):
        built(*FILE, "sampling.peer_model={adress: x}")
    sampling = built(*FILE, "sampling.peer_model={path: x, dtype: float32}").sampling
    assert sampling.reads == (("sampling.peer_model.path", "x"),)


@pytest.mark.parametrize(
    ("overrides", "said"),
    [
        # the gold world has no words
        (["algo=sandbox", "sampling.revisions=1"], "data=gold has none"),
        (["algo=sandbox", "sampling.peers=2"], "tells agents in words what they recall and what others say"),
        (
            ["algo=dpo", "sampling=society", "sampling.recalled=1", "sampling.revisions=1"],
            "data=gold has none",
        ),
        # nobody reads it
        (["algo=sandbox", "sampling.circle=any"], "sampling.circle=any would change nothing"),
        (["algo=sandbox", "sampling.agents=7"], "sampling.agents=7 would change nothing"),
        (
            [*FILE, "sampling.peers=0", "sampling.scores=observer", "sampling.max_critique_tokens=9"],
            "sampling.max_critique_tokens=9 would change nothing",
        ),
        (
            [*FILE, "sampling.recalled=0", "sampling.similarity=0.9"],
            "sampling.similarity=0.9 would change nothing",
        ),
        # peers rate whole responses with numbers, and nobody else rates
        ([*FILE, *SELF, "algo=dpo", "feedback.soft=true", "sampling=society"], "sampling=society gives comp"),
        (
            [*FILE, "algo=sppo", "annotator=judge", "annotator.path=x", "sampling=society"],
            "society gives rows",
        ),
        ([*FILE, "annotator=human"], "samples are new"),
        (
            [*FILE, "sampling.given=best"],
            "sampling.given=best is a response that nobody of sampling=society gave",
        ),
        ([*FILE, "arity=single", "feedback=contrast"], "sampling.given=none leaves them out"),
        (
            [*FILE, *RULE, "algo=rloo", "sampling=society", "objective.truncation=2", "reward_form=win_rate"],
            "takes wins",
        ),
        ([*FILE, *RULE, "algo=rloo", "sampling=society"], "nothing makes up for it"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else None,
)
def test_combinations_that_mean_nothing(overrides: list[str], said: str) -> None:
    with pytest.raises(Refused, match=said) as refused:
        built(*overrides)
    assert refused.value.nearest
    built(*overrides, *refused.value.nearest)


@pytest.mark.parametrize(
    "overrides",
    [
        ["algo=sandbox"],
        ["algo=sandbox", "schedule=offline"],
        ["algo=online_dpo", "sampling=society"],
        [*FILE],
        [*FILE, *DIRECT],
        [*FILE, *RULE, "schedule=online"],
        [*FILE, "annotator=judge", "annotator.path=x"],  # the observer compares, peers give the scores
        [*FILE, *RULE, "algo=iterative_dpo", "sampling=society", "sampling.scores=observer"],
        [*FILE, *RULE, "algo=kto", "sampling=society", "schedule=iterative"],
        [*FILE, *RULE, "algo=rloo", "sampling=society", "objective.truncation=2"],
        [*FILE, "sampling.recalled=0", "sampling.revisions=0", "sampling.agents=16"],
        [*FILE, "sampling.peers=0", "sampling.scores=observer"],
    ],
    ids=" ".join,
)
def test_combinations_with_a_meaning(overrides: list[str]) -> None:
    built(*overrides)


def test_without_words_agents_answer_as_the_policy() -> None:
    sampling = built("algo=sandbox").sampling
    assert not sampling.converses and sampling.rates == frozenset() and sampling.scores == "observer"
    assert built(*FILE).sampling.converses and built(*FILE).sampling.rates == {
        "comparisons",
        "labels",
        "scores",
    }
