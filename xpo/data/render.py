"""Examples as plain strings: texts as they are, messages through the tokenizer's chat template."""

from __future__ import annotations

from typing import Any

from xpo.data.errors import DataError
from xpo.data.record import Example, Message, Text


def rendered(item: Example, tokenizer: Any) -> tuple[str, list[str]]:
    """The prompt, and prompt + response for each response."""
    if isinstance(item.prompt, str):
        return item.prompt, [item.prompt + str(response) for response in item.responses]
    if not tokenizer.chat_template:
        raise DataError(
            f"{item.where}: messages need a chat template and the tokenizer has none: give it one, or texts"
        )
    prompt = item.prompt
    # a prompt that ends in the assistant's own words is to be continued, not answered
    goes_on = prompt[-1].role == "assistant"
    head = _templated(tokenizer, prompt, add_generation_prompt=not goes_on, continue_final_message=goes_on)
    return head, [_templated(tokenizer, _whole(prompt, response, goes_on)) for response in item.responses]


def _whole(prompt: tuple[Message, ...], response: Text, goes_on: bool) -> tuple[Message, ...]:
    turns = (Message("assistant", response),) if isinstance(response, str) else response
    if not goes_on:
        return prompt + turns
    last = Message("assistant", prompt[-1].content + turns[0].content)
    return (*prompt[:-1], last, *turns[1:])


def _templated(tokenizer: Any, turns: tuple[Message, ...], **options: bool) -> str:
    messages = [{"role": turn.role, "content": turn.content} for turn in turns]
    try:
        return tokenizer.apply_chat_template(messages, tokenize=False, **options)
    except Exception as error:  # templates raise what jinja and their authors raise
        roles = ", ".join(turn.role for turn in turns)
        raise DataError(
            f"the tokenizer's chat template refuses messages of the roles {roles}: {error}"
        ) from error
