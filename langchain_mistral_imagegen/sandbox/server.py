"""`Sandbox`: the server, in a thread of its own on a loopback port."""

from __future__ import annotations

import asyncio
import copy
import functools
import json
import logging
import socket
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from types import TracebackType
from typing import Any, Self

import uvicorn
from starlette.requests import Request

from langchain_mistral_imagegen.sandbox.behavior import Behavior, Operation
from langchain_mistral_imagegen.sandbox.records.agents import Agents
from langchain_mistral_imagegen.sandbox.records.conversations import Conversations
from langchain_mistral_imagegen.sandbox.records.files import Files
from langchain_mistral_imagegen.sandbox.records.quota import Quota
from langchain_mistral_imagegen.sandbox.routes.app import Api
from langchain_mistral_imagegen.sandbox.routes.reading import said_last


class _Server(uvicorn.Server):
    """Stops when it is told; the original looks every tenth of a second, and tests stop many servers."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self._stopping = threading.Event()
        self._wake: Callable[[], object] = self._stopping.set

    def stop(self) -> None:
        """Stop, from another thread."""
        self._stopping.set()
        with suppress(RuntimeError):  # it has seen that already, and its loop is closed
            self._wake()

    async def main_loop(self) -> None:
        """Serve until told to stop."""
        told, loop = asyncio.Event(), asyncio.get_running_loop()
        self._wake = functools.partial(loop.call_soon_threadsafe, told.set)
        while not (self._stopping.is_set() or told.is_set()):
            await self.on_tick(0)  # renews the header `date`
            with suppress(TimeoutError):
                await asyncio.wait_for(told.wait(), timeout=1)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:  # noqa: ARG002  # closed by `Sandbox`
        """Drop all connections."""
        for server in self.servers:
            server.close()
        for connection in list(self.server_state.connections):
            connection.transport.abort()
        await asyncio.sleep(0)


@dataclass(frozen=True)
class RecordedRequest:
    """A request to the sandbox."""

    method: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    """Names in lower case; the value of `authorization` is `***`."""
    json: Any
    status: int
    """HTTP status of the answer, or 0 while there is none."""


class Sandbox:
    """Mistral's API on `127.0.0.1`, for as long as the `with` block lasts; `async with` works too.

    Args:
        port: Port; a free one by default.
        api_key: The only key that is accepted; any by default.
        behavior: How it behaves, unless told otherwise for a request.
        images_per_minute: Quota of the picture tool.
        images_per_day: Quota of the picture tool.
        clock: Seconds since the epoch, for quotas and the expiry of URLs.

    Example:
        ```python
        from langchain_mistral_imagegen import ChatMistralConversations
        from langchain_mistral_imagegen.sandbox import Sandbox

        with Sandbox() as sandbox:
            model = ChatMistralConversations(base_url=sandbox.url, api_key="sandbox")
            answer = model.invoke("Draw a blue dog.")
            assert sandbox.paid == 1
        ```
    """

    def __init__(
        self,
        *,
        port: int = 0,
        api_key: str | None = None,
        behavior: Behavior | None = None,
        images_per_minute: int | None = None,
        images_per_day: int | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.api_key = api_key
        self.behavior = behavior or Behavior()
        self.agents = Agents()
        self.files = Files("", clock)
        self.conversations = Conversations(self.agents, self.files, Quota(images_per_minute, images_per_day, clock))
        self.requests: list[RecordedRequest] = []
        self.waiting: list[RecordedRequest] = []
        self._port = port
        self._queue: list[tuple[Behavior, int | None]] = []
        self._lock = threading.Lock()

    @property
    def url(self) -> str:
        """Base URL, while it runs."""
        return self.files.base_url

    @property
    def paid(self) -> int:
        """Pictures generated so far: what the real API would have billed."""
        return self.conversations.paid

    @property
    def prompts(self) -> list[str]:
        """What the user said last in each request for an answer so far; repeated requests repeat it."""
        said = [said_last(request.json) for request in self.requests]
        return [text for text in said if text is not None]

    def entries(self, conversation_id: str) -> list[dict[str, Any]]:
        """Return a copy of what the server holds of a conversation.

        Raises:
            KeyError: If it is not kept.
        """
        return copy.deepcopy(self.conversations.by_id[conversation_id].entries)

    def expire_files(self) -> None:
        """Let all files be gone (404) and all signed URLs be refused; how long the real ones live is not known."""
        self.files.expire()

    def behave(self, behavior: Behavior, times: int | None = 1) -> None:
        """Queue a behavior for the next requests of its kind.

        Args:
            behavior: How to behave; `behavior.on` says for which requests.
            times: For how many of them; `None` for all from now on.
        """
        with self._lock:
            self._queue.append((behavior, times))

    def next_behavior(self, operation: Operation) -> Behavior | None:
        """Take the next queued behavior for an operation."""
        with self._lock:
            for place, (behavior, times) in enumerate(self._queue):
                if behavior.on not in {operation, "any"}:
                    continue
                if times is not None:
                    self._queue[place : place + 1] = [(behavior, times - 1)] if times > 1 else []
                return behavior
        return None

    @contextmanager
    def receive(self, request: Request, body: bytes) -> Iterator[Callable[[int], None]]:
        """Remember a request: in `waiting`, and, once the function that this yields is given its status, in `requests`.

        Args:
            request: What has arrived.
            body: Its body.
        """
        received = self._recorded(request, body)
        self.waiting.append(received)
        try:
            yield lambda status: self.requests.append(replace(received, status=status))
        finally:
            self.waiting.remove(received)

    def _recorded(self, request: Request, body: bytes) -> RecordedRequest:
        headers = {**request.headers, **({"authorization": "***"} if "authorization" in request.headers else {})}
        try:
            content = json.loads(body) if body else None
        except ValueError:
            content = None
        query = dict(request.query_params)
        return RecordedRequest(request.method, request.url.path, query, headers, content, status=0)

    def __enter__(self) -> Self:
        listener = socket.create_server(("127.0.0.1", self._port), backlog=2048)
        self.files.base_url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        # Quiet on purpose: cutting a connection is something it is asked to do.
        config = uvicorn.Config(
            Api(self).app(),
            log_config=None,
            log_level=logging.CRITICAL + 1,
            access_log=False,
            lifespan="off",
            ws="none",
            # Longer than clients keep an idle connection (5 seconds): a request may not meet the end of its connection.
            timeout_keep_alive=75,
        )
        self._server = _Server(config)
        self._listener = listener
        self._thread = threading.Thread(
            target=self._server.run, kwargs={"sockets": [listener]}, name="mistral-sandbox", daemon=True
        )
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._server.stop()
        self._thread.join()
        self._listener.close()

    async def __aenter__(self) -> Self:
        return self.__enter__()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.__exit__(kind, error, traceback)
