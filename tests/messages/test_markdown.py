"""Answers as Markdown: text and images in order, in every shape in which an image comes."""

from __future__ import annotations

import pytest
from langchain_core.messages import AIMessage

from langchain_mistral_imagegen import create_image_graph, images_of, to_markdown
from langchain_mistral_imagegen.langgraph import ToolFileNode
from langchain_mistral_imagegen.sandbox import Behavior

CAT = "Generate an orange cat in an office."
TEXT = {"type": "text", "text": "One"}


def file(file_id: str) -> dict[str, str]:
    return {"type": "tool_file", "tool": "image_generation", "file_id": file_id, "file_type": "png"}


def by_id(ref) -> str:
    return f"https://app.example/{ref['id']}"


@pytest.mark.parametrize("shape", ["tool_file", "url", "markdown"])
@pytest.mark.parametrize("output_version", ["v0", "v1"])
async def test_an_answer_has_each_image_once(face, sandbox, make_model, shape, output_version):
    sandbox.behavior = Behavior(shape=shape, images=2)
    answer = await face.call(make_model(output_version=output_version), "invoke", CAT)
    text = to_markdown(answer, url=by_id)
    assert [text.count(f"]({by_id(ref)})") for ref in images_of(answer)] == [1, 1]
    assert text.count("Here is your image") == 1
    assert "mistral-image:" not in text


def test_texts_and_images_keep_their_order():
    answer = AIMessage([TEXT, file("a"), {**TEXT, "text": "Two"}, {**TEXT, "text": " and three"}, file("b"), file("a")])
    assert to_markdown(answer, url=by_id).split("\n\n") == [
        "One",
        "![image](https://app.example/a)",
        "Two and three",
        "![image](https://app.example/b)",
    ]


def test_links_in_a_text_become_images_where_they_stand():
    answer = AIMessage("A ![x](mistral-image:m) B ![y](mistral-image:n) ![again](mistral-image:m) C")
    parts = to_markdown(answer, url=by_id).split("\n\n")
    assert parts == ["A", "![image](https://app.example/m)", "B", "![image](https://app.example/n)", "C"]


def test_urls_come_from_a_state_or_a_function(model, tmp_path):
    builder = create_image_graph(model, image_store=tmp_path)
    state = builder.compile().invoke({"messages": [("user", CAT)]})
    (answer,) = [message for message in state["messages"] if message.type == "ai"]
    (ref,) = state["images"].values()
    served = ToolFileNode(image_store=tmp_path, model=model, public_url="https://app.example/images")
    images = {**state["images"], **served.run({"messages": [answer]})["images"]}
    assert f"]({'https://app.example/images/' + ref['key']})" in to_markdown(answer, url=images)
    assert "![an orange cat in an office](https://" in to_markdown(answer, url=images)
    for nowhere in ({}, state["images"], lambda _: None):
        assert "*\\[Image: an orange cat in an office\\]*" in to_markdown(answer, url=nowhere)


def test_neither_a_prompt_nor_a_url_can_break_out_of_the_image():
    call = {
        "type": "tool.execution",
        "id": "t",
        "name": "image_generation",
        "arguments": '{"prompt": "a cat](https://evil.example)\\n\\n<img src=x>"}',
        "info": {},
        "status": "success",
    }
    text = to_markdown(AIMessage([call, file("f")]), url=lambda _: "https://app.example/a b) <script>")
    assert text == ("![a cat\\](https://evil.example) \\<img src=x\\>](https://app.example/a%20b%29%20%3Cscript%3E)")


def test_an_answer_in_words_stays_as_it_is():
    assert to_markdown(AIMessage("Hello *you*."), url=by_id) == "Hello *you*."
    assert to_markdown(AIMessage([]), url=by_id) == ""
