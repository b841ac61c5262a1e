"""Which path models take, and that the start-up check sees what is wrong."""

from __future__ import annotations

import pytest
import torch

from xpo.adapter.lora import Lora
from xpo.errors import UserError
from xpo.scoring.path import choose_path, self_check
from xpo.scoring.score import Scoring

ROWS = [([1, 5], [[7, 8, 9, 10, 2], [11, 12, 2]]), ([1, 6, 7], [[9, 2], [9, 10, 11, 2]])]
SMALL = {"vocab_size": 40, "hidden_size": 16, "num_hidden_layers": 2, "bos_token_id": 1, "eos_token_id": 2}
HEADS = {"num_attention_heads": 4, "num_key_value_heads": 2, "head_dim": 4, "intermediate_size": 32}


def other(model_type: str, **config):
    from transformers import AutoConfig, AutoModelForCausalLM

    torch.manual_seed(0)
    return AutoModelForCausalLM.from_config(
        AutoConfig.for_model(model_type, **{**SMALL, "pad_token_id": 0, **config})
    ).eval()


def test_full_attention_shares(model, batch_of):
    path, reason = choose_path(model)
    assert path == "shared" and "full attention" in reason
    scoring, note = self_check(model, batch_of(ROWS), Scoring(path))
    assert scoring.path == "shared" and "agrees" in note


UNSHARED = {
    "sliding window": ("mistral", {**HEADS, "sliding_window": 2}, "local"),
    "layers of a kind": ("gemma2", {**HEADS, "sliding_window": 2}, "sliding_attention"),
    "state space": ("mamba", {"state_size": 4}, "recurrent"),
    "ALiBi by declaration": ("falcon", {"num_attention_heads": 4, "alibi": True}, "ALiBi"),
    "positions counted, not given": ("bloom", {"n_head": 4}, "position_ids"),
}


@pytest.mark.parametrize("kind", UNSHARED)
@pytest.mark.filterwarnings("ignore")  # transformers says that mamba's fast kernels are not installed
def test_models_that_cannot_share_take_the_plain_path(kind, batch_of):
    model_type, config, word = UNSHARED[kind]
    model = other(model_type, **config)
    path, reason = choose_path(model)
    assert path == "plain" and word in reason
    assert self_check(model, batch_of(ROWS), Scoring(path))[0].path == "plain"


def test_a_flash_kernel_takes_no_mask(model):
    model.config._attn_implementation = "flash_attention_2"
    assert choose_path(model)[0] == "plain"


def test_the_check_falls_back_when_sharing_changes_the_values(batch_of):
    model = other("mistral", **HEADS, sliding_window=2)
    scoring, note = self_check(model, batch_of(ROWS), Scoring("shared"))
    assert scoring.path == "plain" and note.startswith("SLOW PATH")


def test_the_check_refuses_logits_that_the_head_does_not_give(model, batch_of):
    whole = model.forward
    model.forward = lambda *args, **kwargs: _doubled(whole(*args, **kwargs))
    with pytest.raises(UserError, match="xpo cannot score it"):
        self_check(model, batch_of(ROWS), Scoring())


def _doubled(output):
    output.logits = output.logits * 2
    return output


@pytest.mark.parametrize(
    "model_type, config",
    [
        ("gemma2", {**HEADS, "final_logit_softcapping": 1.5, "sliding_window": 64}),
        ("cohere", {**HEADS, "logit_scale": 0.3}),
        ("granite", {**HEADS, "logits_scaling": 3.0}),
    ],
)
def test_what_configs_do_to_logits_is_done(model_type, config, batch_of):
    config = {k: v for k, v in config.items() if not (model_type != "gemma2" and k == "head_dim")}
    model = other(model_type, **config)
    scoring, note = self_check(model, batch_of(ROWS), Scoring("plain"))
    assert "agrees" in note


def test_an_encoder_decoder_is_refused():
    from transformers import AutoConfig, AutoModelForSeq2SeqLM

    config = AutoConfig.for_model("t5", vocab_size=40, d_model=16, d_ff=16, num_layers=1, num_heads=2, d_kv=8)
    with pytest.raises(ValueError, match="encoder-decoder"):
        choose_path(AutoModelForSeq2SeqLM.from_config(config))


def test_a_lora_on_the_output_head_is_refused(model_of, batch_of):
    policy = Lora(r=2, target_modules=("lm_head",)).apply(model_of("llama"), seed=0)
    with pytest.raises(ValueError, match="leave it out of adapter.target_modules"):
        Scoring()(policy, batch_of(ROWS))
