"""`PortableMessagesMiddleware` in agents whose models come from several providers."""

from __future__ import annotations

import inspect
import re
from typing import Any

import pytest
from langchain.agents import create_agent
from langchain.agents.middleware import AgentMiddleware, ModelFallbackMiddleware, ModelRequest
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, BaseMessage, HumanMessage, ToolMessage
from langchain_core.outputs import ChatGeneration, ChatResult
from pydantic import Field

from langchain_mistral_imagegen import ChatMistralConversations, images_of
from langchain_mistral_imagegen.errors import InvalidInputError, MissingAPIKeyError
from langchain_mistral_imagegen.middleware import PortableMessagesMiddleware
from langchain_mistral_imagegen.sandbox import Behavior

CAT = "Generate an orange cat in an office."
DESCRIBED = "[Image: an orange cat in an office (id {})]"


class Recorder(BaseChatModel):
    """A model of another provider, which remembers what it was given."""

    given: list[list[BaseMessage]] = Field(default_factory=list)

    def _generate(self, messages: list[BaseMessage], *args: Any, **kwargs: Any) -> ChatResult:
        self.given.append(messages)
        return ChatResult(generations=[ChatGeneration(message=AIMessage("A fine cat."))])

    @property
    def _llm_type(self) -> str:
        return "recorder"


class SecondQuestion(AgentMiddleware):
    """Hands every question but the first to another model."""

    def __init__(self, model: BaseChatModel) -> None:
        super().__init__()
        self.model = model

    def _chosen(self, request: ModelRequest) -> ModelRequest:
        return request.override(model=self.model) if len(request.messages) > 1 else request

    def wrap_model_call(self, request, handler):
        return handler(self._chosen(request))

    async def awrap_model_call(self, request, handler):
        return await handler(self._chosen(request))


@pytest.fixture
def recorder() -> Recorder:
    return Recorder()


async def asked_twice(face, answering, recorder, **options: Any) -> dict[str, Any]:
    middleware = [SecondQuestion(recorder), PortableMessagesMiddleware(**options)]
    agent = create_agent(answering, middleware=middleware)
    state = await face.call(agent, "invoke", {"messages": [HumanMessage(CAT)]})
    return await face.call(agent, "invoke", {"messages": [*state["messages"], HumanMessage("What is it doing?")]})


@pytest.mark.parametrize("images", ["describe", "drop"])
async def test_another_model_gets_words_and_the_state_keeps_the_blocks(face, model, recorder, images):
    state = await asked_twice(face, model, recorder, images=images)
    (given,) = recorder.given
    (ref,) = images_of(state)
    described = f"\n\n{DESCRIBED.format(ref['id'])}" if images == "describe" else ""
    assert given[1].content == f"Here is your image: an orange cat in an office.{described}"
    assert any(block["type"] == "tool_file" for block in state["messages"][1].content)
    assert state["messages"][-1].content == "A fine cat."


@pytest.mark.parametrize("shape", ["tool_file", "url", "markdown"])
async def test_another_model_can_be_shown_the_images(face, model, sandbox, recorder, shape):
    sandbox.behave(Behavior(shape=shape))
    state = await asked_twice(face, model, recorder, images="inline", model=model)
    (given,) = recorder.given
    (ref,) = images_of(state)
    name, image, question = given[2].content
    assert name["text"].endswith(f"(id {ref['id']})]")
    assert (image["type"], image["mime_type"], image["base64"][:4]) == ("image", "image/jpeg", "/9j/")
    assert question["text"] == "What is it doing?"


async def test_the_environment_names_where_to_download(face, model, sandbox, recorder, monkeypatch):
    with pytest.raises(MissingAPIKeyError):
        await asked_twice(face, model, recorder, images="inline")
    monkeypatch.setenv("MISTRAL_API_KEY", "k")
    monkeypatch.setenv("MISTRAL_BASE_URL", sandbox.url)
    middleware = PortableMessagesMiddleware(images="inline")
    agent = create_agent(recorder, middleware=[middleware])
    await face.call(agent, "invoke", {"messages": [model.invoke(CAT)]})
    assert [block["type"] for block in recorder.given[0][1].content] == ["text", "image"]
    await face.call(middleware._downloader, "close")


async def test_images_that_were_sent_are_shown_too(face, model, recorder):
    (ref,) = images_of(model.invoke(CAT))
    sent = {"type": "image", "file_id": ref["file_id"]}
    history = [HumanMessage([sent]), AIMessage("", tool_calls=[{"name": "look", "args": {}, "id": "1"}])]
    history += [ToolMessage([sent], tool_call_id="1"), HumanMessage("Well?")]
    agent = create_agent(recorder, middleware=[PortableMessagesMiddleware(images="inline", model=model)])
    await face.call(agent, "invoke", {"messages": history})
    (given,) = recorder.given
    assert [[block["type"] for block in given[place].content] for place in (0, 2)] == [["text", "image"]] * 2


async def test_an_image_that_cannot_be_fetched_is_described_and_logged(face, model, sandbox, recorder, caplog):
    sandbox.behave(Behavior(on="download", status=404))
    state = await asked_twice(face, model, recorder, images="inline", model=model)
    (ref,) = images_of(state)
    assert recorder.given[0][1].text.endswith(DESCRIBED.format(ref["id"]))
    assert recorder.given[0][2].content == "What is it doing?"
    assert "described to the model" in caplog.text


async def test_mistral_gets_its_own_blocks_and_nothing_is_downloaded(face, model, sandbox):
    given: list[BaseMessage] = []

    class Inner(AgentMiddleware):
        def wrap_model_call(self, request, handler):
            given.extend(request.messages)
            return handler(request)

        async def awrap_model_call(self, request, handler):
            given.extend(request.messages)
            return await handler(request)

    history = [HumanMessage(CAT), model.invoke(CAT), HumanMessage("Now make it blue.")]
    agent = create_agent(model, middleware=[PortableMessagesMiddleware(images="inline", model=model), Inner()])
    await face.call(agent, "invoke", {"messages": history})
    assert given[1].content == history[1].content
    assert not any("/files" in request.path for request in sandbox.requests)


@pytest.mark.parametrize(
    "bind", [lambda model: model, lambda model: model.bind(temperature=0.1).with_config(tags=["x"])]
)
async def test_a_binding_of_the_model_is_the_model(face, model, bind):
    request = ModelRequest(model=bind(model), messages=[model.invoke(CAT)])

    def handler(seen: ModelRequest) -> Any:
        return seen

    async def ahandler(seen: ModelRequest) -> Any:
        return seen

    middleware = PortableMessagesMiddleware()
    seen = await face.call(middleware, "wrap_model_call", request, ahandler if face.is_async else handler)
    assert seen is request


async def test_a_fallback_takes_over_the_history(face, model, sandbox, recorder):
    history = [HumanMessage(CAT), model.invoke(CAT), HumanMessage("Now make it blue.")]
    sandbox.behave(Behavior(status=503))
    agent = create_agent(model, middleware=[ModelFallbackMiddleware(recorder), PortableMessagesMiddleware()])
    state = await face.call(agent, "invoke", {"messages": history})
    assert state["messages"][-1].content == "A fine cat."
    assert isinstance(recorder.given[0][1].content, str)
    again = await face.call(agent, "invoke", {"messages": [*state["messages"], HumanMessage("Draw the cat again.")]})
    assert len(images_of(again["messages"][-1])) == 1, "and Mistral takes over again"


def test_the_example_runs(sandbox, monkeypatch):
    for name, value in {"MISTRAL_API_KEY": "k", "MISTRAL_BASE_URL": sandbox.url, "OPENAI_API_KEY": "k"}.items():
        monkeypatch.setenv(name, value)
    (code,) = re.findall(r"```python\n(.*?)```", inspect.getdoc(PortableMessagesMiddleware) or "", re.DOTALL)
    names: dict[str, Any] = {}
    exec(inspect.cleandoc(code), names)  # noqa: S102  # that is the test
    assert len(images_of(names["state"]["messages"])) == 1
    names["model"].close()


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"model": "mistral-medium-latest"}, r"pass ChatMistralConversations\(model='mistral-medium-latest'\)"),
        ({"model": ChatMistralConversations}, "the class itself; pass an instance"),
        ({"model": 42}, "of type int; pass a ChatMistralConversations"),
        ({"images": "show"}, "images='show' is not known; use 'describe', 'inline' or 'drop'"),
    ],
)
def test_a_wrong_argument_is_refused_at_construction(wrong, words):
    with pytest.raises(InvalidInputError, match=words):
        PortableMessagesMiddleware(**wrong)
