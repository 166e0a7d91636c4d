"""The tool in an agent: whatever model drives the agent, it can have images drawn.

Costs one image on the real API, and the driving model's tokens. Run: `python cookbook/tool_in_agent.py`, after `pip
install langchain-mistral-imagegen[agent]`. Without MISTRAL_API_KEY the images come from the sandbox, and a script
stands for the driving model. With it, any chat model may drive that LangChain knows; this one needs `pip install
langchain-mistralai`.
"""

import os
from collections.abc import Sequence
from contextlib import ExitStack
from typing import Any

from langchain.agents import create_agent
from langchain_core.language_models.fake_chat_models import GenericFakeChatModel
from langchain_core.messages import AIMessage
from sandbox_or_api import settings

from langchain_mistral_imagegen import ChatMistralConversations, MistralImageGenerationTool, images_of


class ScriptedModel(GenericFakeChatModel):
    """Stands for a real model: its answers are written down beforehand."""

    def bind_tools(self, tools: Sequence[Any], **kwargs: Any) -> "ScriptedModel":  # noqa: ARG002
        """Take any tools."""
        return self


def driver() -> str | ScriptedModel:
    """Return a real model's name where there is a key, else one that calls the tool once, then answers."""
    if os.environ.get("MISTRAL_API_KEY"):
        return "mistralai:mistral-medium-latest"
    call = {"name": "generate_image", "args": {"prompt": "a blue boat, flat illustration"}, "id": "call00001"}
    return ScriptedModel(messages=iter([AIMessage("", tool_calls=[call]), AIMessage("Here is your boat.")]))


def main() -> None:
    """Let an agent have an image drawn."""
    with ExitStack() as stack:
        tool = MistralImageGenerationTool(model=ChatMistralConversations(**settings(stack)))
        agent = create_agent(driver(), tools=[tool])
        state = agent.invoke({"messages": [("user", "I would like an image of a boat.")]})
        for message in state["messages"]:
            print(f"{message.type}: {message.text}")
        for ref in images_of(state["messages"]):
            print("stored:", tool.store.location(ref["key"]))


if __name__ == "__main__":
    main()
