"""`Sandbox`: the server, in a thread of its own on a loopback port."""

from __future__ import annotations

import asyncio
import copy
import functools
import logging
import socket
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from types import TracebackType
from typing import Any, Self

import uvicorn

from langchain_mistral_imagegen.sandbox.behavior import Behavior
from langchain_mistral_imagegen.sandbox.records.agents import Agents
from langchain_mistral_imagegen.sandbox.records.conversations import Conversations
from langchain_mistral_imagegen.sandbox.records.files import Files
from langchain_mistral_imagegen.sandbox.records.quota import Quota
from langchain_mistral_imagegen.sandbox.records.state import RecordedRequest, State
from langchain_mistral_imagegen.sandbox.routes.app import Api
from langchain_mistral_imagegen.sandbox.routes.reading import last_user_text


class _Server(uvicorn.Server):
    """Stops at once; the original looks every tenth of a second, and tests stop many servers."""

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
        """Serve until `stop` is called."""
        stopped, loop = asyncio.Event(), asyncio.get_running_loop()
        self._wake = functools.partial(loop.call_soon_threadsafe, stopped.set)
        while not (self._stopping.is_set() or stopped.is_set()):
            await self.on_tick(0)  # renews the header `date`
            with suppress(TimeoutError):
                await asyncio.wait_for(stopped.wait(), timeout=1)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:  # noqa: ARG002  # closed by `Sandbox`
        """Drop all connections."""
        for server in self.servers:
            server.close()
        for connection in list(self.server_state.connections):
            connection.transport.abort()
        await asyncio.sleep(0)


class Sandbox:
    """Mistral's API on `127.0.0.1`, for as long as the `with` block lasts; `async with` works too.

    Args:
        port: Port; a free one by default.
        api_key: The only key that is accepted; any by default.
        behavior: Behavior for requests without one of their own.
        images_per_minute: Quota of the image tool.
        images_per_day: Quota of the image tool.
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
        quota = Quota(images_per_minute, images_per_day, clock)
        self._state = State(quota=quota, clock=clock, api_key=api_key, behavior=behavior or Behavior())
        self._port = port

    @property
    def url(self) -> str:
        """Base URL, while it runs."""
        return self.files.base_url

    @property
    def behavior(self) -> Behavior:
        """Behavior for requests without one of their own; it can be set."""
        return self._state.behavior

    @behavior.setter
    def behavior(self, behavior: Behavior) -> None:
        self._state.behavior = behavior

    @property
    def agents(self) -> Agents:
        """All agents."""
        return self._state.agents

    @property
    def conversations(self) -> Conversations:
        """All conversations that are stored."""
        return self._state.conversations

    @property
    def files(self) -> Files:
        """All files."""
        return self._state.files

    @property
    def requests(self) -> list[RecordedRequest]:
        """Requests that were answered, in the order of their answers."""
        return self._state.log.answered

    @property
    def waiting(self) -> list[RecordedRequest]:
        """Requests that are not answered yet."""
        return self._state.log.waiting

    @property
    def paid(self) -> int:
        """Images generated so far: what the real API would have billed."""
        return self._state.paid

    @property
    def prompts(self) -> list[str]:
        """The user's last text in each request for an answer so far; repeated requests repeat it."""
        texts = [last_user_text(request.json) for request in self.requests]
        return [text for text in texts if text is not None]

    def entries(self, conversation_id: str) -> list[dict[str, Any]]:
        """Return a copy of the entries of a conversation.

        Raises:
            KeyError: If it is not stored.
        """
        return copy.deepcopy(self.conversations.by_id[conversation_id].entries)

    def expire_files(self) -> None:
        """Let all files be gone (404) and all signed URLs be refused; how long the real ones live is not known."""
        self.files.expire()

    def behave(self, *behaviors: Behavior, times: int | None = 1) -> None:
        """Queue behaviors for the next requests of their kinds.

        Args:
            behaviors: In this order; `behavior.on` selects the requests.
            times: For how many requests each; `None` for all from now on.
        """
        for behavior in behaviors:
            self._state.queue.add(behavior, times)

    def __enter__(self) -> Self:
        listener = socket.create_server(("127.0.0.1", self._port), backlog=2048)
        self.files.base_url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        # Quiet on purpose: cutting a connection is something it is asked to do.
        config = uvicorn.Config(
            Api(self._state).app(),
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
