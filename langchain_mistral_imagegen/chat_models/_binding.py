"""What is bound to the model for each call: tools, and the schema of the answer."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any

from langchain_core.language_models import LanguageModelInput
from langchain_core.messages import AIMessage
from langchain_core.runnables import Runnable

from langchain_mistral_imagegen._logger import package_logger
from langchain_mistral_imagegen._messages import structured_output, tool_schemas
from langchain_mistral_imagegen.chat_models._conversations_model import ConversationsModel
from langchain_mistral_imagegen.errors import InvalidInputError

_log = package_logger()


class BindingModel(ConversationsModel):
    """LangChain's two methods that bind something to a model."""

    def bind_tools(
        self,
        tools: Sequence[tool_schemas.ToolLike],
        *,
        tool_choice: tool_schemas.ToolChoice | None = None,
        strict: bool | None = None,
        **kwargs: Any,
    ) -> Runnable[LanguageModelInput, AIMessage]:
        """Return the model with tools besides those of `self.tools`.

        Args:
            tools: Functions, pydantic classes, LangChain tools, or Mistral's built-in tools as dicts
                (`image_generation`, `web_search`, `web_search_premium`, `code_interpreter`, `document_library`,
                `connector`).
            tool_choice: `"auto"`, `"none"`, a function's name, or `"any"`, `"required"` or `True`. Mistral cannot be
                forced to use a built-in tool, and not be forced at all while it has one: for a forced call those of
                `self.tools` are left out, which is logged once as a warning, and a named function is sent alone.
            strict: Whether arguments must fit a function's schema.
            **kwargs: Passed on to each call.

        With an `agent_id` nothing is sent, because an agent brings its own tools; it is looked up once whether it has
        functions of these names.

        Raises:
            InvalidInputError: If the tools and the choice do not fit together, or not with an agent.
        """
        converted = [tool_schemas.to_mistral_tool(tool, strict=strict) for tool in tools]
        tool_schemas.check_forced(converted, tool_choice)
        if self.agent_id and (tool_choice is not None or any(map(tool_schemas.is_built_in, converted))):
            raise InvalidInputError(
                f"Agent {self.agent_id!r} brings its own tools and completion arguments: give it built-in tools and "
                "a tool_choice with `ensure_agent`, or use `model=` instead of `agent_id=`"
            )
        tool_schemas.resolve([*self.tools, *converted], tool_choice)
        if tool_schemas.choice_name(tool_choice) == "required":
            self._warn_of_left_out_tools()
        choice = {} if tool_choice is None else {"tool_choice": tool_choice}
        return self.bind(tools=converted, **choice, **kwargs)

    def _warn_of_left_out_tools(self) -> None:
        left_out = sorted({tool["type"] for tool in self.tools if tool_schemas.is_built_in(tool)})
        if left_out and not self._warnings_given:  # an agent binds its tools again for each call
            self._warnings_given.add("left_out_tools")
            _log.warning(
                "The built-in %s of this model cannot be used while a call of a function is forced, and is left out. "
                "Use response_format=ProviderStrategy(...) to keep it, or a model with tools=[]",
                ", ".join(left_out),
            )

    @functools.cached_property
    def _warnings_given(self) -> set[str]:
        return set()

    def with_structured_output(
        self,
        schema: structured_output.Schema | None = None,
        *,
        include_raw: bool = False,
        method: structured_output.Method = "json_schema",
        strict: bool | None = None,
        **kwargs: Any,
    ) -> Runnable[LanguageModelInput, Any]:
        """Return a runnable that answers with an object of a schema.

        Args:
            schema: A pydantic class, `TypedDict` or JSON schema; `None` only with `"json_mode"`.
            include_raw: Return `{"raw": message, "parsed": ..., "parsing_error": ...}` instead of the object.
            method: `"json_schema"` has the server enforce the schema; `"function_calling"` has it call a function of
                that shape (built-in tools are left out then); `"json_mode"` has it write any JSON, so the prompt must
                name the keys.
            strict: Whether the answer must fit the schema; yes by default.
            **kwargs: Passed on to each call.

        Returns:
            A runnable that yields partial objects when it is streamed.

        Warning:
            JSON modes suppress the text in which Mistral puts file chunks. An image that is generated anyway is in the
            tool's result: pass `raw` to `images` within an hour, when its signed URL expires.

        Raises:
            InvalidInputError: If the model is an agent, whose completion arguments are its own.
        """
        if self.agent_id:
            raise InvalidInputError(
                f"Agent {self.agent_id!r} has completion arguments of its own: give it a response_format when it is "
                "created, or use `model=` instead of `agent_id=`"
            )
        traced: dict[str, Any] = {
            "ls_structured_output_format": {"kwargs": {"method": method, "strict": strict}, "schema": schema}
        }
        if method == "function_calling":
            function = structured_output.function(schema, strict=strict)
            asking = self.bind_tools([function], tool_choice=function["function"]["name"], **traced, **kwargs)
        else:
            wanted = structured_output.response_format(schema, method, strict=strict)
            asking = self.bind(response_format=wanted, **traced, **kwargs)
        reading = structured_output.parser(schema, method)
        return structured_output.with_raw(asking, reading) if include_raw else asking | reading
