"""The vLLM engine against a server on loopback that speaks the API, well and badly.

No vLLM runs here: what the real server does is its documentation's word (0.32).
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from tests.sampler.small import PROMPTS, gap, generator, loud, model_of, policy_of, scored
from tests.sampler.stand_in import answer, engine, standing_in, status
from xpo.adapter.lora import Lora
from xpo.errors import UserError
from xpo.sampler.base import Draw
from xpo.sampler.policy import Policy

DRAW = Draw(3, max_new_tokens=6)


@pytest.fixture(scope="module")
def policy() -> Policy:
    return policy_of()


def test_responses_come_in_order_with_their_log_probabilities(policy: Policy):
    with standing_in(policy) as server:
        found = engine(server)(policy, PROMPTS, DRAW, generator())
        assert found == engine(server, concurrency=1)(policy, PROMPTS, DRAW, generator())
        assert found.responses != engine(server)(policy, PROMPTS, DRAW, generator(1)).responses
        assert engine(server)(policy, [], DRAW, generator()).responses == []
    assert [len(row) for row in found.responses] == [3] * 4
    assert gap(found, scored(policy, PROMPTS, found)) < 1e-5
    asked = next(body for body in server.bodies if body["n"] == 3 and body["prompt"] == PROMPTS[2])
    assert asked["return_token_ids"] is True and asked["logprobs"] == 0 and asked["top_k"] == 0
    assert asked["repetition_penalty"] == 1.0 and asked["add_special_tokens"] is False


def test_everything_that_a_draw_says_is_sent(policy: Policy):
    draw = Draw(2, 0.7, 4, 0.9, 1, 6, ("a", "b"))
    with standing_in(policy) as server:
        found = engine(server)(policy, PROMPTS, draw, generator())
    body = server.bodies[-1]
    sent = {key: body[key] for key in ("temperature", "top_k", "top_p", "min_tokens", "max_tokens", "stop")}
    assert list(sent.values()) == [0.7, 4, 0.9, 1, 6, ["a", "b"]]
    assert body["include_stop_str_in_output"] is True and body["stop_token_ids"] == [2]
    assert min(len(r) for row in found.responses for r in row) > 1


def test_log_probabilities_from_before_the_temperature_are_refused(policy: Policy):
    with standing_in(policy, processed=False) as server:
        found = engine(server)(policy, PROMPTS, DRAW, generator())  # the same thing at temperature 1
        assert gap(found, scored(policy, PROMPTS, found)) < 1e-5
        for other in (Draw(2, 0.7, max_new_tokens=6), Draw(2, top_k=3, max_new_tokens=6)):
            with pytest.raises(UserError, match="--logprobs-mode processed_logprobs"):
                engine(server)(policy, PROMPTS, other, generator())


def test_the_key_is_sent_and_never_said(policy: Policy):
    def act(handler: Any, body: dict[str, Any], number: int) -> bool:
        if number == 0:
            return False
        answer(handler, {"error": {"message": "wrong key sk-1234"}}, 401)
        return True

    with standing_in(policy, act=act) as server:
        with pytest.raises(UserError, match=r"wrong key \[key\]"):
            engine(server, key="sk-1234")(policy, PROMPTS, DRAW, generator())
    assert server.headers[0]["Authorization"] == "Bearer sk-1234"


def test_what_a_server_cannot_do():
    with standing_in(policy_of()) as server:
        with pytest.raises(UserError, match="no support"):
            engine(server)(policy_of(limited=True), PROMPTS, DRAW, generator())
    assert not server.bodies


@pytest.mark.parametrize("adapted", [False, True])
def test_new_weights(adapted: bool, tmp_path: Path):
    """Drawn as the old policy, then, once the folder was read again, as the new one."""
    from transformers import AutoModelForCausalLM

    old = policy_of()
    model: Any = loud(model_of(), 5)
    if adapted:
        model = Lora(r=2).apply(model, seed=0)
        torch.manual_seed(0)
        for name, parameter in model.named_parameters():
            if "lora_B" in name:
                torch.nn.init.normal_(parameter)
    new = Policy(model, old.tokenizer, old.scoring)
    with standing_in(old) as server:

        def reload() -> None:
            server.policy = Policy(AutoModelForCausalLM.from_pretrained(tmp_path), old.tokenizer, old.scoring)

        server.reload = reload
        asked = engine(server, tmp_path)
        stale = asked(new, PROMPTS, DRAW, generator())
        assert gap(stale, scored(old, PROMPTS, stale)) < 1e-5
        assert gap(stale, scored(new, PROMPTS, stale)) > 0.01  # what is logged as the gap
        asked.update(new)
        found = asked(new, PROMPTS, DRAW, generator())
        assert gap(found, scored(new, PROMPTS, found)) < 1e-5
    control = [path for path in server.paths if path != "/v1/completions"]
    assert control == [
        "/pause?mode=wait&clear_cache=true",
        "/collective_rpc",
        "/reset_prefix_cache",
        "/resume",
    ]
    assert list(tmp_path.glob("*.safetensors")) and not list(tmp_path.glob("*.bin"))


def test_weights_that_cannot_be_given(policy: Policy, tmp_path: Path):
    with standing_in(policy, development=False) as server:
        with pytest.raises(UserError, match="has no /pause: start it with VLLM_SERVER_DEV_MODE=1"):
            engine(server, tmp_path).update(policy)
        with pytest.raises(UserError, match="folder is not known"):
            engine(server).update(policy)

    def act(handler: Any, body: dict[str, Any], number: int) -> bool:
        return handler.path == "/collective_rpc" and status(500)(handler, body)

    with standing_in(policy, act=act) as server:
        with pytest.raises(
            UserError, match="/collective_rpc failed, and the server may be paused: status 500"
        ):
            engine(server, tmp_path).update(policy)
    assert "/resume" not in server.paths
