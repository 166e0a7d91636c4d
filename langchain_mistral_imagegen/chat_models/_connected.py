"""The connections of a model: opened at first use, closed, and not shared with copies of other settings."""

from __future__ import annotations

import copy
import functools
from typing import Any, Self

from langchain_core.language_models import BaseChatModel

from langchain_mistral_imagegen._http.async_client import AsyncClient
from langchain_mistral_imagegen._http.settings import Settings
from langchain_mistral_imagegen._http.sync_client import Client
from langchain_mistral_imagegen._messages.known_inputs import KnownInputs
from langchain_mistral_imagegen._protocol.retry import RetryPolicy
from langchain_mistral_imagegen._protocol.signed_urls import ImageHosts, RememberedUrls
from langchain_mistral_imagegen.chat_models._settings import ModelSettings, key_from_environment


class ConnectedModel(ModelSettings):
    """Settings with connections to Mistral, and what is known of its agents and images."""

    @property
    def client(self) -> Client:
        """Runs the operations of `langchain_mistral_imagegen.api`: `model.client.run(api.list_agents())`."""
        return self._client

    @property
    def async_client(self) -> AsyncClient:
        """Runs the operations asynchronously: `await model.async_client.run(api.list_agents())`."""
        return self._async_client

    @functools.cached_property
    def _agent_functions(self) -> dict[str, set[str]]:
        return {}

    @functools.cached_property
    def _known_inputs(self) -> KnownInputs:
        return KnownInputs()

    @functools.cached_property
    def _signed_urls(self) -> RememberedUrls:
        return RememberedUrls(self._image_hosts)

    @property
    def _image_hosts(self) -> ImageHosts:
        return ImageHosts(frozenset(self.image_hosts), self.base_url)

    @property
    def _settings(self) -> Settings:
        return Settings(
            base_url=self.base_url,
            api_key=self._api_key,
            headers=self.default_headers,
            timeout=self.timeout,
            deadline=self.deadline,
            retry=RetryPolicy(max_retries=self.max_retries),
            image_hosts=self._image_hosts,
        )

    @functools.cached_property
    def _client(self) -> Client:
        return Client(self._settings, self.http_client)

    @functools.cached_property
    def _async_client(self) -> AsyncClient:
        return AsyncClient(self._settings, self.http_async_client)

    def close(self) -> None:
        """Close the connections; the model opens new ones when it is used again. Short scripts need not call it."""
        self._client.close()

    async def aclose(self) -> None:
        """Close the connections of the running event loop; `asyncio.run` also does so when it ends."""
        await self._async_client.aclose()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()

    # Connections belong to the settings they were made with: a copy, changed or unpickled, makes its own.

    def __getstate__(self) -> dict[Any, Any]:
        state = super().__getstate__()
        kept = {name: state["__dict__"][name] for name in type(self).model_fields if name != "mistral_api_key"}
        return {**state, "__dict__": kept}

    def __setstate__(self, state: dict[Any, Any]) -> None:
        super().__setstate__(state)
        self.__dict__["mistral_api_key"] = key_from_environment()

    def __copy__(self) -> Self:
        copied = super().__copy__()
        for own in ("_client", "_async_client", "_known_inputs", "_warnings_given"):
            copied.__dict__.pop(own, None)
        return copied

    def __deepcopy__(self, memo: dict[int, Any] | None = None) -> Self:
        return BaseChatModel.__deepcopy__(copy.copy(self), memo)
