"""The settings of the chat model, their checks, and their way into requests and traces."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, Literal, Self
from urllib.parse import urlsplit

import httpx
from langchain_core.language_models import BaseChatModel, LangSmithParams
from langchain_core.language_models.model_profile import ModelProfile
from langchain_core.utils import from_env, get_pydantic_field_names, secret_from_env
from langchain_core.utils.utils import _build_model_kwargs
from pydantic import ConfigDict, Field, SecretStr, ValidationInfo, field_validator, model_validator

from langchain_mistral_imagegen._conversations.turn import Continuation
from langchain_mistral_imagegen._messages import tool_schemas
from langchain_mistral_imagegen._version import __version__
from langchain_mistral_imagegen.chat_models._profiles import agent_profile, model_profile
from langchain_mistral_imagegen.errors import InvalidInputError, MissingAPIKeyError

DEFAULT_BASE_URL = "https://api.mistral.ai"
DEFAULT_MODEL = "mistral-medium-latest"

key_from_environment = secret_from_env("MISTRAL_API_KEY", default=None)

# Fields that go into `completion_args`.
COMPLETION_ARGS = (
    "temperature",
    "top_p",
    "max_tokens",
    "random_seed",
    "presence_penalty",
    "frequency_penalty",
    "reasoning_effort",
    "stop",
)

_RANGES: Mapping[str, tuple[float, float]] = {
    "temperature": (0, 1),
    "top_p": (0, 1),
    "presence_penalty": (-2, 2),
    "frequency_penalty": (-2, 2),
    "max_tokens": (0, math.inf),
    "timeout": (0, math.inf),
    "max_retries": (0, math.inf),
}


class ModelSettings(BaseChatModel):
    """Settings of `ChatMistralConversations`, each declared once."""

    # No error shows its input: it may be the key. The parts of the model need no schema of their own, because nobody
    # makes objects of them; to build them took half of the time that the model adds to an import.
    model_config = ConfigDict(populate_by_name=True, hide_input_in_errors=True, defer_build=True)

    model: str = Field(default=DEFAULT_MODEL, description="Model to converse with; left out when `agent_id` is given.")
    agent_id: str | None = Field(
        default=None,
        description="Agent to converse with; it brings its own model, instructions, tools and completion arguments.",
    )
    agent_version: int | str | None = Field(
        default=None, description="Version or alias of the agent; its newest by default."
    )
    tools: list[dict[str, Any]] = Field(
        default_factory=lambda: [{"type": "image_generation"}],
        description="Tools in Mistral's form. `bind_tools` adds functions to them. Not sent with `agent_id`.",
    )
    instructions: str | None = Field(
        default=None, description="System prompt before the system messages. Refused with `agent_id`."
    )
    temperature: float | None = Field(default=None, description="Sampling temperature, 0 to 1.")
    top_p: float | None = Field(
        default=None, description="Nucleus sampling: the share of probability to draw from, 0 to 1."
    )
    max_tokens: int | None = Field(default=None, description="Maximum number of tokens of one answer.")
    random_seed: int | None = Field(default=None, description="Seed for repeatable text; the image tool has none.")
    presence_penalty: float | None = Field(default=None, description="Penalty for words that occurred at all, -2 to 2.")
    frequency_penalty: float | None = Field(
        default=None, description="Penalty for words by how often they occurred, -2 to 2."
    )
    reasoning_effort: str | None = Field(
        default=None, description="`none`, `high`, or another value that the model takes."
    )
    stop: list[str] | str | None = Field(
        default=None, description="Strings that end the text; not sent with `agent_id`."
    )
    model_kwargs: dict[str, Any] = Field(
        default_factory=dict,
        description=(
            "Further completion arguments, such as `prediction`; settings of unknown names end up here, with a warning."
        ),
    )
    guardrails: list[dict[str, Any]] | None = Field(
        default=None, description="Moderation of a started conversation. Refused with `agent_id`."
    )
    store: bool = Field(
        default=True,
        description=(
            "Whether Mistral keeps the conversation, which continuing it needs. (Images are stored in an "
            "`image_store`.)"
        ),
    )
    continuation: Continuation = Field(
        default="auto",
        description=(
            "How a history with answers of this model goes on: `auto` makes the remote conversation equal to the "
            "local history (append, restart or replay, after a look at the server); `replay` sends the whole "
            "history each time and stores nothing; `append` appends without looking, for those who know that "
            "nobody else does."
        ),
    )
    handoff_execution: Literal["client", "server"] | None = Field(
        default=None,
        description=(
            "Whether `client` or `server` runs handoffs between agents; the server by default. Only with `agent_id`."
        ),
    )
    conversation_metadata: dict[str, Any] | None = Field(
        default=None, description="Kept by Mistral with a started conversation, to find it again."
    )
    transport: Literal["conversations", "completions"] = Field(
        default="conversations",
        description=(
            "`completions` uses `/v1/chat/completions` instead: nothing is stored at Mistral, the whole history "
            "is sent each time, and images come as signed URLs that expire in an hour. Only with `model`, and "
            "without web search or code."
        ),
    )
    mistral_api_key: SecretStr | str | None = Field(
        default_factory=key_from_environment,
        alias="api_key",
        description=(
            "API key; from `MISTRAL_API_KEY` by default. It is kept as a `SecretStr`, and is in no pickle: where "
            "a model is unpickled, the key comes from that environment."
        ),
    )
    base_url: str = Field(
        default_factory=from_env("MISTRAL_BASE_URL", default=DEFAULT_BASE_URL),
        validate_default=True,
        description=(
            "Server; from `MISTRAL_BASE_URL`, or `https://api.mistral.ai`. There are `https://api.eu.mistral.ai` "
            "and `https://api.us.mistral.ai`, where, by Mistral's documentation of 2026-08-21, functions are "
            "the only tools, there are no agents and files, and tokens cost 1.1 times as much, so images may be "
            "refused; the error then names the host. A `/v1` at the end is ignored."
        ),
    )
    image_hosts: list[str] = Field(
        default_factory=list,
        description="Hosts that serve generated images besides the two of Mistral's that are known, such as "
        "`account.blob.core.windows.net`. Signed links to other hosts stay in messages as they are.",
    )
    timeout: float = Field(
        default=300.0, description="Seconds without any byte from the server; generating one image takes about ten."
    )
    deadline: float = Field(
        default=600.0,
        gt=0,
        description=(
            "Seconds after which a response, also a download, must be complete, however often a byte arrives; the time "
            "in which nobody reads a stream does not count. A request that is paid for once ends after `timeout` "
            "seconds in all (or `answer_within`, if that is longer), including that time, because other processes "
            "then count its answer as lost."
        ),
    )
    answer_within: float = Field(
        default=60.0,
        gt=0,
        description=(
            "Seconds within which Mistral has answered, at the latest, after a client gave up on a request. Where an "
            "answer is paid for once, one that was lost is waited for so long (`timeout`, if its client died) before a "
            "new request."
        ),
    )
    max_retries: int = Field(
        default=2,
        description=(
            "Retries of requests that are safe to repeat: refused connections, 429, downloads. Unless it is 0, an "
            "exhausted quota per minute is waited for up to ten times; a quota per day is not."
        ),
    )
    default_headers: dict[str, str] = Field(
        default_factory=dict,
        exclude=True,
        repr=False,
        description="Headers added to each request to Mistral; left out of traces and dumps, as they may be secrets.",
    )
    streaming: bool = Field(
        default=False, description="Whether `invoke` streams internally, so that callbacks see tokens."
    )
    http_client: httpx.Client | None = Field(
        default=None,
        exclude=True,
        repr=False,
        description=(
            "HTTP client of your own; it is not closed. For more than 20 threads make it with "
            "`httpx.Limits(max_connections=None, max_keepalive_connections=None)`: beyond its limit of idle "
            "connections the library may close one that another thread has just begun to use, whose answer is "
            "then lost."
        ),
    )
    http_async_client: httpx.AsyncClient | None = Field(
        default=None,
        exclude=True,
        repr=False,
        description="Asynchronous HTTP client of your own; it is not closed and belongs to one event loop.",
    )

    # --- checks ---

    @model_validator(mode="before")
    @classmethod
    def _keep_unknown_settings(cls, values: dict[str, Any]) -> Any:
        return _build_model_kwargs(dict(values), get_pydantic_field_names(cls))

    @field_validator("mistral_api_key")
    @classmethod
    def _check_key(cls, key: SecretStr | str | None) -> SecretStr | None:
        # Whatever no header can hold, the HTTP library would show in its error.
        text = (key.get_secret_value() if isinstance(key, SecretStr) else key or "").strip()
        if not (text.isascii() and text.isprintable()):
            raise ValueError("The API key has characters that no API key has: check where it was copied from")
        return SecretStr(text) if text else None

    @field_validator("base_url")
    @classmethod
    def _check_base_url(cls, url: str) -> str:
        try:
            parts = urlsplit(url)
            is_server = parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0
        except ValueError:  # brackets without an address, a port that is no number
            is_server = False
        if not is_server:
            shown = url.rpartition("@")[2]  # without a password
            raise ValueError(
                f"base_url={shown!r} (or MISTRAL_BASE_URL) is not the URL of a server; give one like {DEFAULT_BASE_URL}"
            )
        return url

    @field_validator(*_RANGES)
    @classmethod
    def _check_range(cls, value: float | None, info: ValidationInfo) -> float | None:
        least, most = _RANGES[info.field_name or ""]
        if value is not None and not least <= value <= most:
            limits = f"from {least:g} to {most:g}" if most < math.inf else f"of at least {least:g}"
            raise ValueError(f"{info.field_name}={value!r} is not possible; give a number {limits}")
        return value

    @field_validator("tools", mode="before")
    @classmethod
    def _convert_tools(cls, tools: Any) -> Any:
        return [tool_schemas.to_mistral_tool(tool) for tool in tools] if isinstance(tools, Sequence) else tools

    @model_validator(mode="after")
    def _check_mistral_settings(self) -> Self:
        if self.agent_id and self.model != DEFAULT_MODEL:  # the default is no wish, and is there in serialised settings
            raise ValueError(
                f"Give either model={self.model!r} or agent_id={self.agent_id!r}: an agent brings its own model"
            )
        if self.agent_id:
            names = {*COMPLETION_ARGS, "model_kwargs", "instructions", "guardrails"} - {"stop"}  # LangChain sets it
            refuse_settings(self.agent_id, {name: getattr(self, name) for name in sorted(names)})
        if self.agent_id and self.transport == "completions":
            raise InvalidInputError(f"agent_id={self.agent_id!r} needs transport='conversations'")
        if self.continuation == "append" and self.cache:
            raise InvalidInputError(
                "continuation='append' cannot be combined with a cache, because two hits would continue in one place; "
                "use continuation='auto', which looks first"
            )
        self._api_key()
        self._add_version("langchain-mistral-imagegen", __version__)
        return self

    # --- for LangChain ---

    @property
    def _llm_type(self) -> str:
        return "mistralai-conversations"

    @property
    def _identifying_params(self) -> Mapping[str, Any]:
        target = {"agent_id": self.agent_id} if self.agent_id else {"model": self.model}
        return {**target, "base_url": self.base_url, "tools": self.tools}

    def _get_ls_params(self, stop: list[str] | None = None, **kwargs: Any) -> LangSmithParams:
        params = super()._get_ls_params(stop=stop, **kwargs)
        params["ls_provider"] = "mistral"
        if agent_id := kwargs.get("agent_id", self.agent_id):
            params["ls_model_name"] = agent_id
        return params

    def _resolve_model_profile(self) -> ModelProfile:
        return agent_profile() if self.agent_id else model_profile(self.model)

    @classmethod
    def is_lc_serializable(cls) -> bool:
        """Return `True`: settings are serialised, the key as a reference."""
        return True

    @property
    def lc_secrets(self) -> dict[str, str]:
        """Name the environment variable behind the key."""
        return {"mistral_api_key": "MISTRAL_API_KEY"}

    def _api_key(self) -> str:
        if not isinstance(self.mistral_api_key, SecretStr):
            raise MissingAPIKeyError(
                "No API key: set MISTRAL_API_KEY or pass api_key=...; to try without one, run "
                "`python -m langchain_mistral_imagegen.sandbox` and pass its base_url with api_key='sandbox'"
            )
        return self.mistral_api_key.get_secret_value()


def refuse_settings(agent_id: str, settings: Mapping[str, Any]) -> None:
    """Refuse settings that an agent brings itself, instead of leaving them out.

    Raises:
        InvalidInputError: Naming those that are set.
    """
    if given := [name for name, value in settings.items() if value not in (None, [], {})]:
        raise InvalidInputError(
            f"Agent {agent_id!r} brings its own settings, so {', '.join(given)} would have no effect: have "
            "`ensure_agent` of a model with these settings make the agent, or use `model=` instead of `agent_id=`"
        )
