"""A user's program: type-checked, never run."""

from __future__ import annotations

from collections.abc import AsyncIterator

from langchain.agents import create_agent
from langchain_core.messages import AIMessage, AIMessageChunk, BaseMessage, HumanMessage
from langgraph.graph import END, START, StateGraph
from starlette.applications import Starlette
from starlette.requests import Request

from langchain_mistral_imagegen import (
    ChatMistralConversations,
    FsspecImageStore,
    GeneratedImage,
    ImageRef,
    ImageState,
    ImageStore,
    MistralImageGenerationTool,
    ToolFileNode,
    api,
    confirm,
    images_of,
    merge_images,
    pending_calls,
    to_portable_messages,
)
from langchain_mistral_imagegen.costs import CostEstimate, Prices, estimate_cost
from langchain_mistral_imagegen.errors import QuotaExceededError
from langchain_mistral_imagegen.middleware import ImagesMiddleware, PortableMessagesMiddleware
from langchain_mistral_imagegen.notebook import ImageProgress, show
from langchain_mistral_imagegen.sandbox import Behavior, Sandbox
from langchain_mistral_imagegen.tools import ImageGenerationArtifact
from langchain_mistral_imagegen.tracing import ImageTracer
from langchain_mistral_imagegen.web import image_routes


def drawn(model: ChatMistralConversations) -> list[GeneratedImage]:
    answer: AIMessage = model.invoke("Draw a cat.")
    refs: list[ImageRef] = images_of(answer)
    assert refs[0]["status"] == "remote"
    return model.images(answer)


def watched(model: ChatMistralConversations) -> float | None:
    prices = Prices(models={"mistral-medium-latest": {"input": 1.0, "output": 3}}, connectors={"web_search": 0.03})
    tracer = ImageTracer(prices=prices, public_url="https://example.com/images", project_name="posters")
    answer = model.invoke("Draw a cat.", {"callbacks": [tracer]})
    show(answer, model)
    ImageProgress()({"type": "mistral.image.generating"})
    again: AIMessage = show(model.stream("Draw a cat."), model)
    estimate: CostEstimate = estimate_cost([answer, again], prices)
    return estimate.total


async def streamed(model: ChatMistralConversations) -> AsyncIterator[AIMessageChunk]:
    async for chunk in model.astream([HumanMessage("Draw a cat.")]):
        yield chunk


async def painter(model: ChatMistralConversations) -> ChatMistralConversations:
    found: list[api.Agent] = model.client.run(api.list_agents(name="Painter", limit=1))
    history: api.ConversationHistory = await model.async_client.run(api.conversation_history("conv_1"))
    await model.async_client.run(api.update_agent(found[0].id, description=str(len(history.entries))))
    return await model.aensure_agent("Painter", handoffs=["ag_1"])


def confirmed(model: ChatMistralConversations, answer: AIMessage) -> AIMessage:
    asked: list[str] = [call["name"] for call in pending_calls(answer)]
    return model.invoke([answer, confirm(answer, allow=bool(asked))])


def adding(model: ChatMistralConversations) -> AIMessage:
    def add(a: int, b: int) -> int:
        """Add."""
        return a + b

    return model.bind_tools([add, {"type": "web_search"}], tool_choice="auto").invoke("3 + 4?")


def width(tool: MistralImageGenerationTool) -> int:
    artifact: ImageGenerationArtifact = tool.generate("a cat")
    return artifact["images"][0].get("width", 0)


def elsewhere(model: ChatMistralConversations, answer: AIMessage) -> list[BaseMessage]:
    PortableMessagesMiddleware(images="inline", model=model)
    return to_portable_messages([answer], images=model.images(answer))


def agent(model: ChatMistralConversations, store: ImageStore) -> None:
    create_agent(model, middleware=[ImagesMiddleware(image_store="s3://bucket/images")])
    create_agent(model, middleware=[ImagesMiddleware(image_store=store, show="latest"), PortableMessagesMiddleware()])


def graph(store: ImageStore) -> None:
    builder = StateGraph(ImageState)
    builder.add_node("download", ToolFileNode(image_store=store, on_error="raise", max_concurrency=4))
    builder.add_edge(START, "download")
    builder.add_edge("download", END)
    builder.compile()


async def may_see(request: Request, key: str) -> bool:
    return request.headers["x-folder"] == key[:2]


def web_app(store: ImageStore) -> Starlette:
    return Starlette(routes=[*image_routes(store, authorize=may_see), *image_routes("images", prefix="/public")])


def offline() -> float:
    with Sandbox(behavior=Behavior(shape="url")) as sandbox:
        model = ChatMistralConversations(base_url=sandbox.url, api_key="k", temperature=0.3)
        try:
            (image,) = drawn(model)
        except QuotaExceededError as error:
            return error.retry_after or 0.0
        image.save("cat")
        graph(FsspecImageStore("memory://images"))
        return float(len(merge_images(None, {}))) + sandbox.paid
