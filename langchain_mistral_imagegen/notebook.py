"""Show answers in a notebook while they arrive: text and images in order, and what the server is doing.

Text is shown as plain text, not as Markdown: a model's text should not make a browser load anything.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, overload

from langchain_core.messages import AIMessage, AIMessageChunk, message_chunk_to_message

from langchain_mistral_imagegen._messages.answers import merge_chunks
from langchain_mistral_imagegen._messages.markdown import parts_of
from langchain_mistral_imagegen._messages.message_like import MessageLike, as_messages, is_message
from langchain_mistral_imagegen._messages.references import images_of
from langchain_mistral_imagegen._printable import one_line, printable
from langchain_mistral_imagegen._protocol.signed_urls import replace_image_links
from langchain_mistral_imagegen.chat_models import ChatMistralConversations
from langchain_mistral_imagegen.chat_models._given import conversations_model
from langchain_mistral_imagegen.errors import InvalidInputError
from langchain_mistral_imagegen.events import PREFIX, ImageEvent
from langchain_mistral_imagegen.images import GeneratedImage

_GROWTH = 1.05  # of a text, before it is shown anew: each time takes as long as all of the text


@overload
def show(answer: AIMessage | Mapping[str, Any], model: ChatMistralConversations) -> None: ...
@overload
def show(answer: Iterable[AIMessageChunk | Mapping[str, Any]], model: ChatMistralConversations) -> AIMessage: ...
def show(answer: MessageLike | Iterable[MessageLike], model: ChatMistralConversations) -> AIMessage | None:
    """Show the text and the images of an answer, in order, below the cell that runs.

    Args:
        answer: A complete answer, or a stream, whose text grows and which shows when an image is being generated. Both
            may be dicts, as a LangGraph server returns them.
        model: Downloads the images.

    Returns:
        The complete answer of a stream; `None` for an answer that was complete.

    Raises:
        ImageError: If an image can no longer be fetched; the text is shown all the same.
        InvalidInputError: If a stream has no chunks, if `model` is no `ChatMistralConversations`, or if IPython is not
            installed.

    Example:
        ```python
        answer = show(model.stream("Draw a red house."), model)
        ```
    """
    conversations_model(model, "show")
    line = _Line()
    is_complete = is_message(answer)
    message = _answer(answer) if is_complete else _read(_chunks(answer), line)
    refs = images_of(message)
    if refs:
        line.show_text(_readable(message.text), f"downloading {len(refs)} image(s)")
    images = {image.ref["id"]: image for image in model.images(message)}
    first, *others = [*_parts(message, images)] or [_Text("")]
    line.show(first)
    for part in others:
        _Line().show(part)
    return None if is_complete else message


def _answer(given: MessageLike | Iterable[MessageLike]) -> AIMessage:
    (message,) = as_messages(given)
    if not isinstance(message, AIMessage):
        raise InvalidInputError(f"show() takes an answer of a model; this is a {type(message).__name__}")
    return message


def _chunks(given: Any) -> Iterator[AIMessageChunk]:
    for chunk in given:
        message = _answer(chunk)
        if not isinstance(message, AIMessageChunk):
            raise InvalidInputError(
                f"show() takes one answer, or the chunks of one; this is a list with {type(message).__name__}s"
            )
        yield message


class ImageProgress:
    """Shows what happens to the images of a graph: one line for each, which changes with each event.

    Example:
        ```python
        progress = ImageProgress()
        for mode, part in graph.stream(state, stream_mode=["custom", "values"]):
            if mode == "custom":
                progress(part)
        ```
    """

    def __init__(self) -> None:
        self._line = _Line()
        self._states: dict[str, str] = {}

    def __call__(self, event: ImageEvent | Any) -> None:
        """Show an event of `stream_mode="custom"`; events of other kinds are ignored."""
        if not isinstance(event, Mapping) or not str(event.get("type", "")).startswith(PREFIX):
            return
        call = f"call {event['tool_call_id']}" if "tool_call_id" in event else ""
        self._states.pop(call, None)  # its id is known now
        self._states[event.get("id", call)] = one_line(" ".join([*self._name(event), _state(event)]))
        self._line.show(_Text("\n".join(self._states.values())))

    def _name(self, event: Mapping[str, Any]) -> list[str]:
        return [event["id"]] if "id" in event else []


def _state(event: Mapping[str, Any]) -> str:
    match event["type"].removeprefix(PREFIX):
        case "generating":
            return "generating, which takes about ten seconds"
        case "download":
            return f"downloading, {event.get('received', 0) / 1e6:.1f} MB so far"
        case "stored":
            return f"stored, {event.get('size_bytes', 0) / 1e6:.1f} MB: {event.get('key')}"
        case "failed":
            return f"failed: {event.get('error')}"
        case other:
            return str(other)


class _Text:
    """Plain text, shown as it is."""

    def __init__(self, text: str) -> None:
        self._text = printable(text)

    def __repr__(self) -> str:
        return self._text


class _Line:
    """A place in a cell's output, whose content can change."""

    def __init__(self) -> None:
        try:
            from IPython.display import display  # noqa: PLC0415  # not needed outside of notebooks
        except ImportError:
            raise InvalidInputError(
                "IPython is needed to show answers; call this in a notebook, or install ipython"
            ) from None
        self._display: Any = display
        self._handle: Any = None
        self._content: Any = None

    def show_text(self, *parts: str) -> None:
        """Show the parts that are not empty, as paragraphs."""
        if text := "\n\n".join(part for part in parts if part):
            self.show(_Text(text))

    def show(self, content: _Text | GeneratedImage) -> None:
        """Show text or an image, unless it is there already."""
        if repr(content) == repr(self._content):
            return
        self._content = content
        if self._handle:
            self._handle.update(content)
        else:
            self._handle = self._display(content, display_id=True)  # none outside of a kernel


def _read(chunks: Iterable[AIMessageChunk], line: _Line) -> AIMessage:
    read, texts = list[AIMessageChunk](), list[str]()
    size, activity, shown = 0, "", (0, "")
    for chunk in chunks:
        read.append(chunk)
        texts.append(text := str(chunk.text))
        size += len(text)
        activity = _activity(chunk) or ("" if text else activity)
        if size > shown[0] * _GROWTH or activity != shown[1]:
            texts = ["".join(texts)]
            line.show_text(_readable(texts[0]), activity)
            shown = size, activity
    if not read:
        raise InvalidInputError("There is nothing to show: the stream has no chunks")
    message = message_chunk_to_message(merge_chunks(read))
    assert isinstance(message, AIMessage)  # noqa: S101  # for the type checker: chunks of AI messages make one
    return message


def _activity(chunk: AIMessageChunk) -> str:
    names = [block.get("name") for block in chunk.content_blocks if block["type"].startswith("server_tool_call")]
    return "; ".join(f"({name} is running)" for name in names if name)


def _readable(text: str) -> str:
    """Remove the links to images, which are shown themselves."""
    return replace_image_links(text, lambda *_: "").strip()


def _parts(message: AIMessage, images: Mapping[str, GeneratedImage]) -> Iterator[_Text | GeneratedImage]:
    return (_Text(part) if isinstance(part, str) else images[part["id"]] for part in parts_of(message))
