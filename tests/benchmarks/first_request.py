"""Print as JSON what 100 chat models and the first https requests of this process cost."""

from __future__ import annotations

import asyncio
import gc
import json
import ssl
import time

from langchain_mistral_imagegen import ChatMistralConversations
from langchain_mistral_imagegen.errors import APIConnectionError

_CLOSED = "https://127.0.0.1:1"  # nobody listens there, but whoever asks needs TLS


def model() -> ChatMistralConversations:
    return ChatMistralConversations(base_url=_CLOSED, api_key="k", max_retries=0)


def contexts() -> int:
    return sum(type(thing) is ssl.SSLContext for thing in gc.get_objects())


def refused() -> float:
    asked, start = model(), time.process_time()
    try:
        asked.invoke("Hello")
    except APIConnectionError:
        return (time.process_time() - start) * 1000
    raise AssertionError("The server is not there")


async def arefused() -> None:
    try:
        await model().ainvoke("Hello")
    except APIConnectionError:
        return
    raise AssertionError("The server is not there")


def main() -> None:
    model()
    start = time.process_time()
    models = [model() for _ in range(100)]
    models_ms = (time.process_time() - start) * 1000
    before = contexts()
    first_ms, second_ms = refused(), refused()
    for _ in range(2):
        asyncio.run(arefused())
    del models
    counted = {"contexts_before": before, "contexts_after": contexts()}
    print(json.dumps({"models_ms": models_ms, "first_ms": first_ms, "second_ms": second_ms, **counted}))


if __name__ == "__main__":
    main()
