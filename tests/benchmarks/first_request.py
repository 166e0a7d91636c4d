"""Print as JSON what 100 chat models and the first https requests of this process cost."""

from __future__ import annotations

import asyncio
import gc
import json
import ssl
import sys
import time

from langchain_mistral_imagegen import ChatMistralConversations
from langchain_mistral_imagegen.errors import APIConnectionError


def model(url: str) -> ChatMistralConversations:
    return ChatMistralConversations(base_url=url, api_key="k", max_retries=0)


def contexts() -> int:
    return sum(type(thing) is ssl.SSLContext for thing in gc.get_objects())


def refused(url: str) -> float:
    asked, start = model(url), time.process_time()
    try:
        asked.invoke("Hello")
    except APIConnectionError:
        return (time.process_time() - start) * 1000
    raise AssertionError("The server was not to understand")


async def arefused(url: str) -> None:
    try:
        await model(url).ainvoke("Hello")
    except APIConnectionError:
        return
    raise AssertionError("The server was not to understand")


def main(url: str) -> None:
    model(url)
    start = time.process_time()
    models = [model(url) for _ in range(100)]
    models_ms = (time.process_time() - start) * 1000
    before = contexts()
    first_ms, second_ms = refused(url), refused(url)
    for _ in range(2):
        asyncio.run(arefused(url))
    del models
    counted = {"contexts_before": before, "contexts_after": contexts()}
    print(json.dumps({"models_ms": models_ms, "first_ms": first_ms, "second_ms": second_ms, **counted}))


if __name__ == "__main__":
    main(sys.argv[1])
