"""Finds the images in messages and state; no I/O.

An image can be in a message as a `tool_file` chunk, in the result of a tool execution, as an `image_url` chunk or
as a Markdown link; the later ones are looked at only where there is none of the earlier, because the server reports
one image in several places.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, cast, get_args

from langchain_core.messages import AIMessage, BaseMessage, ToolMessage

from langchain_mistral_imagegen._messages.message_like import MessageLike, as_messages, is_message
from langchain_mistral_imagegen._messages.native_blocks import Block
from langchain_mistral_imagegen._messages.standard_blocks import image_type
from langchain_mistral_imagegen._protocol.entries import read_json
from langchain_mistral_imagegen._protocol.image_tool import IMAGE_TOOL
from langchain_mistral_imagegen._protocol.signed_urls import image_ids
from langchain_mistral_imagegen.images import IMAGE_URI_SCHEME, ImageRef, ImageStatus, merge_images

_STATUSES = get_args(ImageStatus)


def images_of(source: MessageLike | Iterable[MessageLike] | Mapping[str, Any]) -> list[ImageRef]:
    """Find the generated images in a message, in several messages, or in a graph's state.

    Args:
        source: A message; messages, oldest first; or a state with `messages` and perhaps `images`. Messages may also be
            dicts, as a LangGraph server returns them, or in any other form that LangChain's models take.

    Returns:
        One reference for each image, in order of appearance; `[]` if there is none, which is a normal outcome.

    Raises:
        InvalidInputError: If something among the messages is none.
    """
    found: dict[str, ImageRef] = {}
    messages: Any = source
    if isinstance(source, Mapping) and not is_message(source):
        found = dict(source.get("images") or {})
        messages = source.get("messages") or ()
    for message in as_messages(messages):
        for ref in _of_message(message):
            found = merge_images(found, {ref["id"]: ref})
    return list(found.values())


def _of_message(message: BaseMessage) -> list[ImageRef]:
    if isinstance(message, ToolMessage):
        return [*_listed(message.artifact), *_listed(message.response_metadata)]
    if not isinstance(message, AIMessage):
        return []
    blocks = [block for block in message.content if isinstance(block, dict)]
    texts = [message.content] if isinstance(message.content, str) else message.content
    for look in _PLACES:
        refs = [ref for block in blocks for ref in look(block)]
        if refs:
            return _described(refs, _prompts(blocks), message)
    bare = [ref for text in texts if isinstance(text, str) for ref in _by_uri(text)]
    return _described(bare, _prompts(blocks), message)


def _listed(holder: Any) -> list[ImageRef]:
    """Return the references that an artifact or metadata lists; other tools may list something else as `images`."""
    images = holder.get("images") if isinstance(holder, Mapping) else None
    return [cast("ImageRef", dict(one)) for one in images if _is_reference(one)] if isinstance(images, list) else []


def _is_reference(image: Any) -> bool:
    return isinstance(image, Mapping) and isinstance(image.get("id"), str) and image.get("status") in _STATUSES


def _described(refs: Sequence[ImageRef], prompts: Sequence[str], message: AIMessage) -> list[ImageRef]:
    """Add what the answer knows of its images: conversation, model, time, and the prompts of its image tool."""
    facts = {name: message.response_metadata.get(fact) for name, fact in _FACTS.items()}
    about: Any = {name: fact for name, fact in facts.items() if fact}
    if len(prompts) == 1:  # one call may make several images
        return [{**ref, **about, "prompt": prompts[0]} for ref in refs]
    if len(prompts) != len(refs):  # it is not known which call made which
        return [{**ref, **about} for ref in refs]
    return [{**ref, **about, "prompt": prompt} for ref, prompt in zip(refs, prompts, strict=True)]


_FACTS = {"conversation_id": "conversation_id", "model": "model_name", "created_at": "created_at"}


def _prompts(blocks: Iterable[Block]) -> list[str]:
    """Return the prompts of the image tool's calls that succeeded, in order."""
    prompts: dict[str, Any] = {}
    done: list[Any] = []
    for block in blocks:
        if block.get("type") in ("tool.execution", "server_tool_call") and block.get("name") == IMAGE_TOOL:
            prompts[block.get("id", "")] = _prompt(block.get("args", block.get("arguments")))
        if block.get("type") in ("tool.execution", "server_tool_result") and block.get("status") == "success":
            done.append(prompts.get(block.get("id") or block.get("tool_call_id") or ""))
    return [prompt for prompt in done if isinstance(prompt, str) and prompt]


def _prompt(arguments: Any) -> Any:
    try:
        values = read_json(arguments) if isinstance(arguments, str) else arguments
    except ValueError:  # an unfinished stream, or something else than JSON
        return None
    return values.get("prompt") if isinstance(values, Mapping) else None


def _by_uri(text: str) -> Iterator[ImageRef]:
    yield from (ImageRef(id=image_id, status="remote") for image_id in image_ids(text))


def _tool_file(block: Block) -> Iterator[ImageRef]:
    """Read a `tool_file` chunk, or the standard image block that it becomes."""
    extras = block.get("extras") if block.get("type") == "image" else block
    is_image = block.get("type") == "image" or (block.get("type") == "tool_file" and image_type(block))
    if not is_image or not block.get("file_id"):
        return
    ref: ImageRef = {"id": block["file_id"], "status": "remote", "file_id": block["file_id"]}
    if extras and extras.get("file_name"):
        ref["file_name"] = extras["file_name"]
    yield ref


def _tool_result(block: Block) -> Iterator[ImageRef]:
    """Read an image that exists only as a URL; other tools' results may hold URLs of something else."""
    if block.get("type") == "tool.execution" and _makes_images(block.get("tool") or block.get("name")):
        yield from _by_uri(str(block.get("info")))
    if block.get("type") == "server_tool_result" and _makes_images(block.get("extras", {}).get("tool")):
        yield from _by_uri(str(block.get("output")))


def _makes_images(tool: str | None) -> bool:
    # A run without a name may be of any tool; a URI of an image was there only for a URL of Mistral's image hosts.
    return not tool or tool == IMAGE_TOOL


def _image_url(block: Block) -> Iterator[ImageRef]:
    url = block.get("url") if block.get("type") == "image" else block.get("image_url")
    url = url.get("url") if isinstance(url, Mapping) else url
    if isinstance(url, str) and url.startswith(IMAGE_URI_SCHEME):
        yield from _by_uri(url)


def _markdown(block: Block) -> Iterator[ImageRef]:
    if block.get("type") == "text":
        yield from _by_uri(str(block.get("text", "")))


_PLACES: tuple[Callable[[Block], Iterator[ImageRef]], ...] = (_tool_file, _tool_result, _image_url, _markdown)
