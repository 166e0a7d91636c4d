"""The model's operations besides answering: images, stored conversations, lost answers and agents."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Self, Unpack

from langchain_core.messages import AIMessage, BaseMessage

from langchain_mistral_imagegen import stores
from langchain_mistral_imagegen._conversations.agents import AgentSettings, ensure_agent
from langchain_mistral_imagegen._conversations.history import messages_of
from langchain_mistral_imagegen._conversations.lost_answers import reconcile
from langchain_mistral_imagegen._downloads import DownloadOptions, Downloads
from langchain_mistral_imagegen._messages.message_like import MessageLike
from langchain_mistral_imagegen._messages.references import images_of
from langchain_mistral_imagegen._protocol.flows import Flow
from langchain_mistral_imagegen._protocol.signed_urls import SignedUrls
from langchain_mistral_imagegen.chat_models._settings import COMPLETION_ARGS
from langchain_mistral_imagegen.chat_models._turns import TurnsModel
from langchain_mistral_imagegen.errors import InvalidInputError, LostAnswer, OutcomeUnknownError
from langchain_mistral_imagegen.images import GeneratedImage, ImageRef
from langchain_mistral_imagegen.stores import ImageStore


class ConversationsModel(TurnsModel):
    """The operations that LangChain has no hooks for."""

    # --- images ---

    def images(self, message: MessageLike) -> list[GeneratedImage]:
        """Download the images of a message, in order; `[]` if it has none.

        Raises:
            ImageError: If an image can no longer be fetched, or its bytes are no image.
            APIError: If the server refuses.
        """
        return self._client.run(self._downloads().fetch(images_of(message)))

    async def aimages(self, message: MessageLike) -> list[GeneratedImage]:
        """Download the images of a message; see `images`."""
        return await self._async_client.run(self._downloads().fetch(images_of(message)))

    def store_images(
        self, refs: Sequence[ImageRef], image_store: ImageStore | str, **options: Unpack[DownloadOptions]
    ) -> list[ImageRef | Exception]:
        """Download images straight into an image store; memory does not grow with their size.

        Args:
            refs: References, such as `images_of` finds them.
            image_store: A store, a path, or an fsspec URL.
            options: `max_concurrency`, `max_bytes` (of one image), `name`, `on_bytes`, `inline`.

        Returns:
            For each image, in order, its reference with the status `stored`, or the error that prevented it.
        """
        return self._client.run(self._downloads(**options).store(refs, stores.image_store(image_store)))

    async def astore_images(
        self, refs: Sequence[ImageRef], image_store: ImageStore | str, **options: Unpack[DownloadOptions]
    ) -> list[ImageRef | Exception]:
        """Download images straight into an image store; see `store_images`."""
        return await self._async_client.run(self._downloads(**options).store(refs, stores.image_store(image_store)))

    def _downloads(self, **options: Unpack[DownloadOptions]) -> Downloads:
        return Downloads(signed_urls=self._signed_urls, **options)

    # --- stored conversations ---

    def messages(self, conversation_id: str) -> list[BaseMessage]:
        """Read a conversation that Mistral stores, from any process.

        Args:
            conversation_id: Such as `answer.response_metadata["conversation_id"]`.

        Returns:
            Its messages, oldest first; its instructions come first, unless they are the model's own. `images` downloads
            their images (signed URLs expire after an hour), and `invoke` continues them: in the same conversation if
            model, instructions and tools are those of this model, or its agent; otherwise in a new one. The usage of
            answers (`usage_metadata`, `connectors`) is not stored.

        Raises:
            NotFoundError: If there is no such conversation for this key.
        """
        return self._client.run(self._messages(conversation_id))

    async def amessages(self, conversation_id: str) -> list[BaseMessage]:
        """Read a conversation that Mistral stores; see `messages`."""
        return await self._async_client.run(self._messages(conversation_id))

    def _messages(self, conversation_id: str) -> Flow[list[BaseMessage]]:
        return messages_of(conversation_id, self._turn_settings({}), SignedUrls(self._signed_urls))

    # --- turns ---

    def reconcile(self, error: OutcomeUnknownError | LostAnswer, wait: float = 0.0) -> AIMessage | None:
        """Look at Mistral for an answer that did not arrive, so that it is not paid for twice.

        Any model with the same key can do it, also in another process: the error can be pickled, and its `lost` holds
        plain strings.

        Args:
            error: The error, or its `lost`.
            wait: Seconds for which to look again and again; an image may still be being drawn.

        Returns:
            The answer, without `usage_metadata`, which is not stored; `None` if there is none (yet).

        Raises:
            InvalidInputError: If the answer was not stored, because the model has `store=False` or
                `transport="completions"`, or because the error is not of a chat model.
        """
        return self._client.run(reconcile(error, SignedUrls(self._signed_urls), wait))

    async def areconcile(self, error: OutcomeUnknownError | LostAnswer, wait: float = 0.0) -> AIMessage | None:
        """Look at Mistral for an answer that did not arrive; see `reconcile`."""
        return await self._async_client.run(reconcile(error, SignedUrls(self._signed_urls), wait))

    # --- agents ---

    def ensure_agent(self, name: str, *, description: str | None = None, handoffs: Sequence[str] | None = None) -> Self:
        """Store the model's settings in an agent at Mistral, and return a model that uses the agent.

        Creates the agent if there is none. If the settings have changed, the agent gets a new version, without the
        settings that were removed (Mistral keeps the old versions: https://docs.mistral.ai/api, beta.agents). Otherwise
        nothing is written. Only agents with the metadata `langchain_mistral_imagegen` are used and changed; others of
        the same name are left alone. Programs that start at the same time end up with the same agent.

        Args:
            name: Name of the agent.
            description: Its purpose; other agents read it to decide on a handoff.
            handoffs: Ids of the agents that it may hand over to.

        Returns:
            A copy with `agent_id`, and without the settings that the agent now has.

        Raises:
            InvalidInputError: If the model has an `agent_id` already.
            OutcomeUnknownError: If it is unknown whether the agent was written; call again to find out.
        """
        settings = self._agent_settings(name, description, handoffs)
        return self._with_agent(self._client.run(ensure_agent(settings)).id)

    async def aensure_agent(
        self, name: str, *, description: str | None = None, handoffs: Sequence[str] | None = None
    ) -> Self:
        """Store the model's settings in an agent at Mistral; see `ensure_agent`."""
        settings = self._agent_settings(name, description, handoffs)
        return self._with_agent((await self._async_client.run(ensure_agent(settings))).id)

    def _agent_settings(self, name: str, description: str | None, handoffs: Sequence[str] | None) -> AgentSettings:
        if self.agent_id:
            raise InvalidInputError(
                f"This model already has agent_id={self.agent_id!r}: declare an agent's settings on a model without "
                "agent_id, or change that agent with api.update_agent"
            )
        own = self._of_model({})
        return AgentSettings(
            name=name,
            description=description,
            handoffs=handoffs,
            instructions=self.instructions,
            completion_args=own.options.get("completion_args", {}),
            **own.target,
        )

    def _with_agent(self, agent_id: str) -> Self:
        moved = {"model", "tools", "instructions", "model_kwargs", *COMPLETION_ARGS}
        unset = {name: type(self).model_fields[name].get_default(call_default_factory=True) for name in moved}
        agent = self.model_copy(update={**unset, "agent_id": agent_id})
        agent.profile = agent._resolve_model_profile()  # noqa: SLF001  # of this very class
        return agent
