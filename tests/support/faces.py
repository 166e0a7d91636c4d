"""One face for the synchronous and asynchronous sides of everything, and what two runs have in common."""

from __future__ import annotations

import functools
import json
import re
from typing import Any

from langchain_core.messages import AIMessage, message_chunk_to_message

from langchain_mistral_imagegen import ChatMistralConversations

IDS = re.compile(r"(?<=_)[0-9a-f]{32}|[0-9a-f]{8}-[0-9a-f-]{27}")


class Face:
    """Does everything either synchronously or asynchronously, so that a test is written once."""

    def __init__(self, kind: str) -> None:
        self.is_async = kind == "async"

    async def call(self, owner: Any, name: str, *args: Any, **kwargs: Any) -> Any:
        if self.is_async:
            return await getattr(owner, f"a{name}")(*args, **kwargs)
        return getattr(owner, name)(*args, **kwargs)

    async def run(self, model: ChatMistralConversations, flow: Any) -> Any:
        return await model.async_client.run(flow) if self.is_async else model.client.run(flow)

    async def chunks(self, model: Any, prompt: Any, **kwargs: Any) -> list[Any]:
        if self.is_async:
            return [chunk async for chunk in model.astream(prompt, **kwargs)]
        return list(model.stream(prompt, **kwargs))

    async def streamed(self, model: Any, prompt: Any, **kwargs: Any) -> AIMessage:
        merged = functools.reduce(lambda left, right: left + right, await self.chunks(model, prompt, **kwargs))
        return message_chunk_to_message(merged)


_OF_ONE_RUN = {"fingerprint", "quotas", "created_at"}


def without_ids(message: AIMessage) -> str:
    """Return a message as text in which ids are numbered by first appearance, so that two runs compare.

    The fingerprint, which is made of ids too, is compared in test_answers.py; quotas come with whole answers only,
    and times differ.
    """
    text = json.dumps(
        [
            message.content,
            message.content_blocks,
            message.tool_calls,
            message.invalid_tool_calls,
            message.usage_metadata,
            {name: value for name, value in message.response_metadata.items() if name not in _OF_ONE_RUN},
            message.id,
        ],
        sort_keys=True,
    )
    names: dict[str, str] = {}
    text = re.sub(r'(?<="id": ")[A-Za-z0-9]{9}(?=")', "call", text)
    return IDS.sub(lambda found: names.setdefault(found[0], f"id{len(names)}"), text)
