"""Shows answers in a notebook as they come: text and pictures in order, and what is being waited for.

Text is shown as plain text, not as Markdown: what a model writes should not make a browser load anything.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, overload

from langchain_core.messages import AIMessage, AIMessageChunk, message_chunk_to_message
from langchain_core.messages.ai import add_ai_message_chunks

from langchain_mistral_imagegen._messages.references import images_of
from langchain_mistral_imagegen.chat_models import ChatMistralConversations
from langchain_mistral_imagegen.errors import InvalidInputError
from langchain_mistral_imagegen.events import PREFIX, ImageEvent
from langchain_mistral_imagegen.images import IMAGE_URI_SCHEME, GeneratedImage

_LINK = re.compile(rf"!\[[^\]]*\]\({IMAGE_URI_SCHEME}[^)]*\)")


@overload
def show(answer: AIMessage, model: ChatMistralConversations) -> None: ...
@overload
def show(answer: Iterable[AIMessageChunk], model: ChatMistralConversations) -> AIMessage: ...
def show(answer: AIMessage | Iterable[AIMessageChunk], model: ChatMistralConversations) -> AIMessage | None:
    """Show the text and the pictures of an answer, in order, below the cell that runs.

    Args:
        answer: An answer, or one that is being streamed: its text grows, and it says when a picture is drawn.
        model: Downloads the pictures.

    Returns:
        The whole answer of a stream; `None` for one that you have.

    Raises:
        ImageError: If a picture can no longer be fetched; the text is shown all the same.
        InvalidInputError: If a stream has no chunks, or IPython is not installed.

    Example:
        ```python
        answer = show(model.stream("Draw a red house."), model)
        ```
    """
    line = _Line()
    message = answer if isinstance(answer, AIMessage) else _read(answer, line)
    refs = images_of(message)
    if refs:
        line.say(_readable(message.text), f"downloading {len(refs)} picture(s)")
    pictures = {image.ref["id"]: image for image in model.images(message)}
    first, *others = [*_parts(message, pictures)] or [_Text("")]
    line.show(first)
    for part in others:
        _Line().show(part)
    return None if message is answer else message


class ImageProgress:
    """Shows what happens to the pictures of a graph, one line for each, which changes as it gets on.

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
        self._pictures: dict[str, str] = {}

    def __call__(self, event: ImageEvent | Any) -> None:
        """Show an event of `stream_mode="custom"`; those of other nodes are left to others."""
        if not isinstance(event, Mapping) or not str(event.get("type", "")).startswith(PREFIX):
            return
        self._pictures.pop("", None)  # it is not `generating` any more
        self._pictures[event.get("id", "")] = " ".join([*self._name(event), _happened(event)])
        self._line.show(_Text("\n".join(self._pictures.values())))

    def _name(self, event: Mapping[str, Any]) -> list[str]:
        return [event["id"]] if "id" in event else []


def _happened(event: Mapping[str, Any]) -> str:
    match event["type"].removeprefix(PREFIX):
        case "generating":
            return "drawing, which takes some ten seconds"
        case "download":
            return f"downloading, {event.get('received', 0) / 1e6:.1f} MB so far"
        case "stored":
            return f"stored, {event.get('size_bytes', 0) / 1e6:.1f} MB: {event.get('key')}"
        case "failed":
            return f"failed: {event.get('error')}"
        case happened:
            return str(happened)


class _Text:
    """Plain text, shown as it is."""

    def __init__(self, text: str) -> None:
        self._text = text

    def __repr__(self) -> str:
        return self._text


class _Line:
    """A place in a cell's output; what it shows can change."""

    def __init__(self) -> None:
        try:
            from IPython.display import display  # noqa: PLC0415  # only those who are in a notebook pay for it
        except ImportError:
            raise InvalidInputError("To show answers, IPython is needed, which every notebook has") from None
        self._display: Any = display
        self._handle: Any = None
        self._shows: Any = None

    def say(self, *parts: str) -> None:
        """Show text, the parts that are not empty apart from each other."""
        if text := "\n\n".join(part for part in parts if part):
            self.show(_Text(text))

    def show(self, thing: _Text | GeneratedImage) -> None:
        """Show something, unless it is shown already."""
        if repr(thing) == repr(self._shows):
            return
        self._shows = thing
        if self._handle:
            self._handle.update(thing)
        else:
            self._handle = self._display(thing, display_id=True)  # none outside of a kernel


def _read(chunks: Iterable[AIMessageChunk], line: _Line) -> AIMessage:
    read: list[AIMessageChunk] = []
    text, doing = "", ""
    for chunk in chunks:
        read.append(chunk)
        text += chunk.text
        doing = _doing(chunk) or ("" if chunk.text else doing)
        line.say(_readable(text), doing)
    if not read:
        raise InvalidInputError("There is nothing to show: the stream has no chunks")
    message = message_chunk_to_message(add_ai_message_chunks(*read))
    assert isinstance(message, AIMessage)  # noqa: S101  # for the type checker: chunks of AI messages make one
    return message


def _doing(chunk: AIMessageChunk) -> str:
    names = [block.get("name") for block in chunk.content_blocks if block["type"].startswith("server_tool_call")]
    return "; ".join(f"({name} is at work)" for name in names if name)


def _readable(text: str) -> str:
    """Take out what refers to pictures that are shown."""
    return _LINK.sub("", text).strip()


def _parts(message: AIMessage, pictures: Mapping[str, GeneratedImage]) -> Iterator[_Text | GeneratedImage]:
    left, said = dict(pictures), ""
    blocks = [message.content] if isinstance(message.content, str) else message.content
    for block in blocks:
        said += block if isinstance(block, str) else block["text"] if block.get("type") == "text" else ""
        here = [left.pop(ref["id"]) for ref in images_of(AIMessage([block])) if ref["id"] in left]
        if here and _readable(said):
            yield _Text(_readable(said))
            said = ""
        yield from here
    if _readable(said):
        yield _Text(_readable(said))
