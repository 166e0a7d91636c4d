"""What a notebook's frontend gets: text and images in order, and lines that change while something is awaited."""

from __future__ import annotations

import subprocess
import sys

import pytest
from IPython.core.interactiveshell import InteractiveShell
from IPython.utils.capture import capture_output
from langchain_core.messages import AIMessage, AIMessageChunk
from traitlets.config import Config

from langchain_mistral_imagegen import ToolFileNode, create_image_graph
from langchain_mistral_imagegen.errors import ImageUnavailableError, InvalidInputError
from langchain_mistral_imagegen.notebook import ImageProgress, show
from langchain_mistral_imagegen.sandbox import Behavior

CAT = "Generate an orange cat in an office."
TEXT = "Here is your image: an orange cat in an office."


@pytest.fixture
def frontend(monkeypatch, tmp_path):
    """What is shown, in order, each place with all that it showed."""
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path))
    monkeypatch.setattr(sys, "excepthook", sys.excepthook)
    settings = Config()
    settings.HistoryManager.enabled = False
    InteractiveShell.instance(config=settings)
    with capture_output() as captured:
        yield Frontend(captured)
    InteractiveShell.clear_instance()


class Frontend:
    def __init__(self, captured) -> None:
        self._captured = captured

    @property
    def places(self):
        places: dict[str, list[str]] = {}
        for output in self._captured.outputs:
            assert output.update == (output.transient["display_id"] in places)
            kind = next((kind for kind in output.data if kind.startswith("image/")), None)
            places.setdefault(output.transient["display_id"], []).append(kind or output.data["text/plain"])
        return list(places.values())

    @property
    def shown(self):
        return [place[-1] for place in self.places]


@pytest.mark.parametrize("shape", ["tool_file", "url", "markdown"])
@pytest.mark.parametrize("output_version", ["v0", "v1"])
def test_an_answer_is_shown_with_its_images(sandbox, make_model, frontend, shape, output_version):
    sandbox.behavior = Behavior(shape=shape, images=2)
    model = make_model(output_version=output_version)
    answer = model.invoke(CAT)
    assert show(answer, model) is None
    assert sorted(frontend.shown) == [TEXT, "image/jpeg", "image/jpeg"]
    assert (frontend.shown[0] == TEXT) == (shape != "url")  # where there is only the tool's result, it comes first
    assert frontend.places[0][0] == f"{TEXT}\n\ndownloading 2 image(s)"


def test_what_a_langgraph_server_returns_is_shown_too(model, frontend):
    assert show(model.invoke(CAT).model_dump(mode="json"), model) is None
    assert frontend.shown == [TEXT, "image/jpeg"]


def test_a_stream_of_dicts_is_shown_too(model, frontend):
    answer = show((chunk.model_dump() for chunk in model.stream(CAT)), model)
    assert isinstance(answer, AIMessage)
    assert frontend.shown == [TEXT, "image/jpeg"]


@pytest.mark.parametrize(
    "wrong", [{"role": "user", "content": "Draw."}, [AIMessage("one"), AIMessage("two")], ["Draw."]]
)
def test_what_is_no_answer_is_refused(model, frontend, wrong):
    with pytest.raises(InvalidInputError, match=r"show\(\) takes"):
        show(wrong, model)


def test_text_and_images_keep_their_order(sandbox, model, frontend):
    made = model.images(model.invoke(CAT))[0].ref["id"]
    file = {"type": "tool_file", "tool": "image_generation", "file_id": made, "file_name": "x", "file_type": "png"}
    text = {"type": "text", "text": "One"}
    show(AIMessage([text, file, {**text, "text": "Two"}, {**text, "text": " and three"}]), model)
    assert frontend.shown == ["One", "image/jpeg", "Two and three"]


def test_a_stream_grows_and_shows_what_it_waits_for(model, frontend):
    answer = show(model.stream(CAT), model)
    assert (type(answer), answer.text.strip()) == (AIMessage, TEXT)
    assert frontend.shown == [TEXT, "image/jpeg"]
    text, image = frontend.places
    assert text[0] == "(image_generation is running)"
    assert text[1].startswith("Here")
    assert text[-2:] == [f"{TEXT}\n\ndownloading 1 image(s)", TEXT]
    assert image == ["image/jpeg"]
    assert [one for one in text[1:-2] if not TEXT.startswith(one)] == []


def test_an_answer_in_words_is_shown(model, frontend):
    show(model.invoke("Hello"), model)
    show(AIMessage("I am a string."), model)
    show(AIMessage([]), model)
    assert frontend.shown[1:] == ["I am a string.", ""]
    assert frontend.shown[0].startswith("Hello!")


def test_what_a_model_writes_is_not_rendered(model, frontend):
    """A link to an image would let its host know that it is read, and what else the model put into it."""
    show(AIMessage("![](https://elsewhere.invalid/?secret) <img src=x>"), model)
    (output,) = frontend._captured.outputs
    assert output.data.keys() == {"text/plain"}


def test_an_image_that_is_gone_leaves_the_text(sandbox, model, frontend):
    answer = model.invoke(CAT)
    sandbox.behave(Behavior(on="download", status=404))
    with pytest.raises(ImageUnavailableError):
        show(answer, model)
    assert frontend.shown == [f"{TEXT}\n\ndownloading 1 image(s)"]


def test_a_stream_without_chunks_is_refused(model, frontend):
    with pytest.raises(InvalidInputError, match="no chunks"):
        show(iter([]), model)
    assert show(iter([AIMessageChunk(""), AIMessageChunk("x")]), model).text == "x"
    assert frontend.places == [["x"]]


def test_the_images_of_a_graph_have_a_line_each(sandbox, model, frontend, tmp_path):
    sandbox.behavior = Behavior(images=2)
    graph, progress = create_image_graph(model, image_store=str(tmp_path / "images")).compile(), ImageProgress()
    for mode, part in graph.stream({"messages": [("user", CAT)]}, stream_mode=["custom", "values"]):
        if mode == "custom":
            progress(part)
        else:
            state = part
    (lines,) = frontend.places
    assert lines[0] == "generating, which takes about ten seconds"
    assert "drawing" not in "".join(lines[1:])
    assert "downloading, " in "".join(lines)
    assert lines[-1].splitlines() == [f"{ref['id']} stored, 0.0 MB: {ref['key']}" for ref in state["images"].values()]


def test_progress_shows_what_failed_and_leaves_other_events_alone(sandbox, model, frontend, tmp_path):
    progress = ImageProgress()
    for event in ("words", None, 5, {}, {"type": "other"}, {"type": None}):
        progress(event)
    assert frontend.places == []
    answer = model.invoke(CAT)
    sandbox.behave(Behavior(on="download", status=404))
    (ref,) = (
        ToolFileNode(image_store=str(tmp_path / "images"), model=model).run({"messages": [answer]})["images"].values()
    )
    progress({"type": "mistral.image.failed", "id": ref["id"], "error": ref["error"]})
    assert frontend.shown == [f"{ref['id']} failed: {ref['error']}"]


def run(code, sandbox):
    start = f"from langchain_mistral_imagegen import ChatMistralConversations\nmodel = ChatMistralConversations(base_url={sandbox.url!r}, api_key='k')\n"
    return subprocess.run([sys.executable, "-c", start + code], capture_output=True, text=True, check=False)


@pytest.mark.slow
def test_outside_of_a_notebook_it_is_printed(sandbox):
    done = run(f"from langchain_mistral_imagegen.notebook import show\nshow(model.invoke({CAT!r}), model)", sandbox)
    assert done.stderr == ""
    assert TEXT in done.stdout
    assert "GeneratedImage(mime_type='image/jpeg'" in done.stdout


@pytest.mark.slow
def test_without_ipython_showing_is_an_error_and_importing_needs_none(sandbox):
    code = f"import sys\nsys.modules['IPython'] = None\nfrom langchain_mistral_imagegen.notebook import show\nshow(model.invoke({CAT!r}), model)"
    assert run(code, sandbox).stderr.strip().endswith("or install ipython")


def test_something_else_than_the_model_is_refused(frontend):
    with pytest.raises(
        InvalidInputError, match=r"show needs .* pass ChatMistralConversations\(model='mistral-large'\)"
    ):
        show(AIMessage("Hello"), "mistral-large")
