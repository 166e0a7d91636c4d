"""What LangSmith and LangChain's own handlers get to see of turns, tools and nodes."""

from __future__ import annotations

import json

import pytest
from langchain_core.callbacks import UsageMetadataCallbackHandler
from langchain_core.messages import HumanMessage
from langchain_core.messages.ai import add_usage
from local_langsmith import local_langsmith

from langchain_mistral_imagegen import FsspecImageStore, MistralImageGenerationTool, create_image_graph
from langchain_mistral_imagegen.costs import Prices
from langchain_mistral_imagegen.errors import InvalidInputError
from langchain_mistral_imagegen.sandbox import Behavior
from langchain_mistral_imagegen.tracing import ImageTracer

CAT = "Generate an orange cat in an office."
MODEL = "mistral-medium-latest"
PUBLIC = "https://example.com/images"
PRICES = Prices(models={MODEL: {"input": 1_000_000, "output": 1_000_000}})


@pytest.fixture
def langsmith(monkeypatch):
    with local_langsmith(monkeypatch) as running:
        yield running


def mine(run):
    """The metadata that the tracer adds."""
    metadata = run["extra"]["metadata"]
    return {name.removeprefix("mistral_"): metadata[name] for name in metadata if name.startswith("mistral_")}


def usage(run):
    return run["extra"]["metadata"]["usage_metadata"]


@pytest.mark.parametrize("way", ["invoke", "stream"])
async def test_every_tracer_sees_names_tags_metadata_and_usage(face, make_model, langsmith, way):
    model = make_model(tags=["models"], metadata={"team": "posters"}, temperature=0.5)
    config = {"run_name": "draw a cat", "tags": ["cats"], "metadata": {"user": "7"}}
    if way == "invoke":
        answer = await face.call(model, "invoke", CAT, config)
    else:
        answer = await face.streamed(model, CAT, config=config)
    (run,) = langsmith.runs()
    assert (run["name"], run["run_type"], sorted(run["tags"])) == ("draw a cat", "llm", ["cats", "models"])
    metadata = run["extra"]["metadata"]
    assert {name: metadata[name] for name in ("user", "team", "ls_provider", "ls_model_name", "ls_temperature")} == {
        "user": "7", "team": "posters", "ls_provider": "mistral", "ls_model_name": MODEL, "ls_temperature": 0.5
    }  # fmt: skip
    assert metadata["lc_versions"].keys() >= {"langchain-core", "langchain-mistral-imagegen"}
    assert usage(run) == answer.usage_metadata
    metadata = run["outputs"]["generations"][0][0]["message"]["kwargs"]["response_metadata"]
    assert metadata["conversation_id"] == answer.response_metadata["conversation_id"]
    assert metadata["connectors"] == {"image_generation": 1}
    assert mine(run) == {}


async def test_a_tool_and_nodes_are_named(face, model, langsmith, tmp_path):
    tool = MistralImageGenerationTool(model=model, image_store=str(tmp_path), tags=["drawing"])
    await face.call(tool, "invoke", {"prompt": "a cat"})
    await face.call(
        create_image_graph(model, image_store=str(tmp_path)).compile(), "invoke", {"messages": [("user", CAT)]}
    )
    names = [(run["name"], run["run_type"]) for run in langsmith.runs()]
    assert ("generate_image", "tool") in names
    assert {("ConversationNode", "chain"), ("ToolFileNode", "chain")} <= set(names)
    assert names.count(("ChatMistralConversations", "llm")) == 2


@pytest.mark.parametrize("way", ["invoke", "stream"])
async def test_an_answer_is_described_in_metadata(face, sandbox, model, langsmith, way):
    sandbox.behavior = Behavior(images=2)
    config = {"callbacks": [ImageTracer(prices=PRICES)], "metadata": {"thread_id": "7"}}
    if way == "invoke":
        answer = await face.call(model, "invoke", CAT, config)
    else:
        answer = await face.streamed(model, CAT, config=config)
    (run,) = langsmith.runs()  # and no second one by LangChain's own tracer
    cost = answer.usage_metadata["total_tokens"] + 0.20
    assert mine(run) == {
        "conversation_id": answer.response_metadata["conversation_id"],
        "images": 2,
        "calls_image_generation": 2,
        "cost": pytest.approx(cost),
    }
    assert usage(run) == {**answer.usage_metadata, "total_cost": pytest.approx(cost)}
    assert run["extra"]["metadata"]["thread_id"] == "7"
    assert "total_cost" not in answer.usage_metadata


async def test_an_agent_is_named_and_an_unknown_price_is_not_guessed(face, model, make_model, langsmith):
    agent = make_model(await face.call(model, "ensure_agent", "Painter"))
    answer = await face.call(agent, "invoke", CAT, {"callbacks": [ImageTracer()]})
    (run,) = langsmith.runs()
    metadata = mine(run)
    assert (metadata["agent_id"], metadata["cost_at_least"], "cost" in metadata) == (agent.agent_id, 0.10, False)
    assert usage(run) == answer.usage_metadata


def test_runs_of_one_call_keep_apart(model, langsmith):
    model.generate([[HumanMessage(CAT)], [HumanMessage("Hello")]], callbacks=[ImageTracer()])
    assert [mine(run)["images"] for run in langsmith.runs()] == [1, 0]
    conversations = {mine(run)["conversation_id"] for run in langsmith.runs()}
    assert len(conversations) == 2


async def test_a_tools_images_are_displayed_by_public_url(face, model, langsmith, tmp_path):
    store = FsspecImageStore(str(tmp_path))
    tool = MistralImageGenerationTool(model=model, image_store=store)
    call = {"type": "tool_call", "name": tool.name, "args": {"prompt": "a cat"}, "id": "1"}
    config = {"callbacks": [ImageTracer(public_url=f"{PUBLIC}/")]}
    message = await face.call(tool, "invoke", call, config)
    (image,) = message.artifact["images"]
    run = next(run for run in langsmith.runs() if run["run_type"] == "tool")
    text, displayed = run["outputs"]["output"]["content"]
    assert displayed == {
        "type": "image",
        "id": image["id"],
        "url": f"{PUBLIC}/{image['key']}",
        "mime_type": "image/jpeg",
    }
    assert text == {"type": "text", "text": message.content}
    assert isinstance(message.content, str)
    assert store.get(displayed["url"].removeprefix(f"{PUBLIC}/")).startswith(b"\xff\xd8\xff")


async def test_a_graphs_images_are_displayed_by_public_url(face, model, langsmith, tmp_path):
    graph = create_image_graph(model, image_store=str(tmp_path)).compile()
    config = {"callbacks": [ImageTracer(public_url=PUBLIC)], "metadata": {"user": "7"}}
    state = await face.call(graph, "invoke", {"messages": [("user", CAT)]}, config)
    (image,) = state["images"].values()
    displayed = {run["name"]: run["outputs"].get("image_blocks") for run in langsmith.runs()}
    blocks = [{"type": "image", "id": image["id"], "url": f"{PUBLIC}/{image['key']}", "mime_type": "image/jpeg"}]
    assert displayed["LangGraph"] == displayed["ToolFileNode"] == blocks
    assert displayed["ConversationNode"] is None
    assert "image_blocks" not in state
    assert mine(next(run for run in langsmith.runs() if run["run_type"] == "llm"))["images"] == 1


async def test_without_a_public_url_no_image_is_displayed(face, model, langsmith, tmp_path):
    tool = MistralImageGenerationTool(model=model, image_store=str(tmp_path))
    await face.call(tool, "invoke", {"prompt": "a cat"}, {"callbacks": [ImageTracer()]})
    assert "https://" not in json.dumps([run["outputs"] for run in langsmith.runs()])


@pytest.mark.parametrize(
    "images", [None, [1], {"a": 5}, {"a": {"status": "stored", "key": 5}}, {"a": {"id": "x"}}, {"a": {"key": "k"}}]
)
def test_what_else_is_called_images_is_left_alone(langsmith, images):
    from langchain_core.runnables import RunnableLambda

    RunnableLambda(lambda _: {"images": images}).invoke("", {"callbacks": [ImageTracer(public_url=PUBLIC)]})
    (run,) = langsmith.runs()
    assert run["outputs"] == {"images": images}


def test_a_copy_reports_the_same(model, langsmith, tmp_path):
    """LangChain makes one where a graph or an agent has metadata for LangSmith alone."""
    tracer = ImageTracer(prices=PRICES, public_url=PUBLIC).copy_with_metadata_defaults(metadata={"graph": "1"})
    create_image_graph(model, image_store=str(tmp_path)).compile().invoke(
        {"messages": [("user", CAT)]}, {"callbacks": [tracer]}
    )
    runs = {run["name"]: run for run in langsmith.runs()}
    assert mine(runs["ChatMistralConversations"])["cost"] > 0
    assert runs["ToolFileNode"]["outputs"]["image_blocks"]
    assert {run["extra"]["metadata"]["graph"] for run in runs.values()} == {"1"}


def test_answers_of_others_are_left_alone(langsmith):
    from langchain_core.language_models import FakeListChatModel

    FakeListChatModel(responses=["hello"]).invoke("", {"callbacks": [ImageTracer(public_url=PUBLIC)]})
    (run,) = langsmith.runs()
    assert mine(run) == {}


@pytest.mark.parametrize(
    "url", ["", "images", "file:///images", "data:image/png;base64,AA", "https://", "https://a.b/?sig=x", "s3://b/c",
            "https://user:password@a.b/c"]
)  # fmt: skip
def test_a_url_that_is_not_public_is_refused(url):
    with pytest.raises(InvalidInputError, match="not a public address") as refused:
        ImageTracer(public_url=url)
    assert "sig=" not in str(refused.value)


# --- LangChain's handler that counts tokens ---


async def test_the_handler_counts_what_every_way_of_asking_used(face, model, make_model):
    other = make_model(model="mistral-small-latest")
    handler = UsageMetadataCallbackHandler()
    config = {"callbacks": [handler]}
    answers = [
        await face.call(model, "invoke", CAT, config),
        await face.streamed(model, CAT, config=config),
        *await face.call(model, "batch", [CAT, "Hello"], config),
    ]
    small = await face.streamed(other, CAT, config=config)
    total = None
    for answer in answers:
        total = add_usage(total, answer.usage_metadata)
    assert handler.usage_metadata == {MODEL: total, "mistral-small-latest": small.usage_metadata}
    used = handler.usage_metadata[MODEL]
    assert used["input_tokens"] + used["output_tokens"] == used["total_tokens"]
    assert used["input_token_details"]["connector"] == 3 * small.usage_metadata["input_token_details"]["connector"] > 0


async def test_the_handler_counts_within_tools_and_graphs(face, model, tmp_path):
    handler = UsageMetadataCallbackHandler()
    config = {"callbacks": [handler]}
    tool = MistralImageGenerationTool(model=model, image_store=str(tmp_path))
    artifact = (await face.call(tool, "invoke", {"type": "tool_call", "name": tool.name, "args": {"prompt": "a cat"}, "id": "1"}, config)).artifact  # fmt: skip
    graph = create_image_graph(model, image_store=str(tmp_path)).compile()
    state = await face.call(graph, "invoke", {"messages": [("user", CAT)]}, config)
    answer = state["messages"][-1]
    assert handler.usage_metadata == {MODEL: add_usage(artifact["usage"], answer.usage_metadata)}
