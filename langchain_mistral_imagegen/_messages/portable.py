"""Message histories for other providers.

An answer of Mistral's conversations holds blocks that no other provider takes: their payload builders crash on them,
or send references to files that exist only at Mistral. `to_portable_messages` puts the same in words.
"""

from __future__ import annotations

import base64
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal, TypeVar

from langchain_core.messages import AIMessage, BaseMessage, HumanMessage, ToolMessage

from langchain_mistral_imagegen._messages.message_like import MessageLike, as_messages
from langchain_mistral_imagegen._messages.native_blocks import MODEL_PROVIDER, Block
from langchain_mistral_imagegen._messages.references import images_of
from langchain_mistral_imagegen._messages.standard_blocks import image_type, translate_message
from langchain_mistral_imagegen._protocol.signed_urls import image_ids, replace_image_links
from langchain_mistral_imagegen.errors import InvalidInputError
from langchain_mistral_imagegen.images import GeneratedImage

Content = str | list[Any]
_Message = TypeVar("_Message", bound=BaseMessage)
_NATIVE_TYPES = {"tool_file", "tool.execution", "tool_reference", "agent.handoff", "document_url"}


def to_portable_messages(
    messages: MessageLike | Iterable[MessageLike],
    images: Literal["describe", "drop"] | Iterable[GeneratedImage] = "describe",
) -> list[BaseMessage]:
    """Rewrite a history so that any provider's chat model takes it, and `ChatMistralConversations` takes it again.

    Answers of Mistral's conversations become plain text: their words, their sources as links, their images. Reasoning
    and what ran on Mistral's server is left out; an answer of nothing else is left out altogether. In other messages
    only what exists only at Mistral is replaced: files known by a `file_id` alone, and `mistral-image:` links.
    Messages without any of that are handed on as they are. Nothing is downloaded, and no message is changed.

    Args:
        messages: The history, oldest first; also as dicts, or in any other form that LangChain's models take.
        images: What becomes of images. `"describe"` names each by its prompt and id. `"drop"` leaves them out. Images
            in memory, as `model.images(answer)` returns them, are described and added, found by the id in their `ref`:
            a generated one to the next user message, because providers refuse images in answers, and one that was
            sent in its place. An image that is not among them is described.

    Returns:
        New messages where something was rewritten, the same objects elsewhere.

    Raises:
        InvalidInputError: If `images` is another word.

    Example:
        ```python
        question = HumanMessage("Generate an orange cat in an office.")
        answer = model.invoke([question])
        history = to_portable_messages([question, answer, HumanMessage("What is the cat doing?")])
        ```
    """
    if isinstance(images, str) and images not in {"describe", "drop"}:
        raise InvalidInputError(f"images={images!r} is not known; use 'describe', 'drop' or images in memory")
    at_hand = {} if isinstance(images, str) else {image.ref["id"]: image for image in images}
    return list(_Portable(at_hand, drop=images == "drop").history(as_messages(messages)))


def is_from_conversations(message: AIMessage) -> bool:
    """Return whether a message is an answer of Mistral's conversations, in native or in standard blocks."""
    is_marked = message.response_metadata.get("model_provider") == MODEL_PROVIDER
    return is_marked or (isinstance(message.content, list) and any(map(_is_native, message.content)))


def _is_native(block: Any) -> bool:
    match block:
        case {"type": str(kind)} if kind in _NATIVE_TYPES:
            return True
        case {"extras": {"block_type": "tool.execution"}}:
            return True
    return _image_id(block) is not None


@dataclass(frozen=True)
class _Portable:
    """Rewrites one history.

    Attributes:
        at_hand: The images to show, by id.
        drop: Whether images are left out.
        captions: What the images so far were to show, by id.
        waiting: Ids of generated images that are to be put into the next user message.
    """

    at_hand: Mapping[str, GeneratedImage]
    drop: bool
    captions: dict[str, str] = field(default_factory=dict)
    waiting: dict[str, None] = field(default_factory=dict)

    def history(self, messages: Sequence[BaseMessage]) -> Iterator[BaseMessage]:
        for message in messages:
            match message:
                case AIMessage():
                    yield from self._answer(message)
                case HumanMessage():
                    yield self._with_waiting(self._sent(message))
                case _:
                    yield self._sent(message)
        if self.waiting and not _awaits_results(messages):
            yield self._with_waiting(HumanMessage([]))

    # --- answers ---

    def _answer(self, message: AIMessage) -> Iterator[AIMessage]:
        self.captions.update(_captions(message))
        self.waiting.update((ref["id"], None) for ref in images_of(message) if ref["id"] in self.at_hand)
        if not is_from_conversations(message):
            yield self._sent(message)
            return
        answer = AIMessage(
            content=self._in_words(message),
            id=message.id,
            name=message.name,
            tool_calls=message.tool_calls,
            invalid_tool_calls=message.invalid_tool_calls,
            usage_metadata=message.usage_metadata,
        )
        if answer.content or answer.tool_calls or answer.invalid_tool_calls:
            yield answer

    def _in_words(self, message: AIMessage) -> str:
        """Put an answer in words; each image is described where the text links to it, or else at the end."""
        unlinked = {ref["id"]: None for ref in images_of(message)}
        also_files = _prompts(message).keys() - unlinked.keys()

        def in_text(image_id: str, label: str) -> str:
            unlinked.pop(image_id, None)
            return "" if image_id in also_files else self._description(image_id, label)

        text = replace_image_links(_joined("\n\n", message.text, _joined("\n", *_links(message))), in_text)
        return _joined("\n\n", text, _joined("\n", *map(self._description, unlinked)))

    def _with_waiting(self, message: HumanMessage) -> HumanMessage:
        blocks = [block for image_id in self.waiting for block in self._shown(image_id)]
        self.waiting.clear()
        return _with_content(message, [*blocks, *_as_blocks(message.content)]) if blocks else message

    # --- other messages ---

    def _sent(self, message: _Message) -> _Message:
        """Rewrite what may hold images; one of nothing else describes them, as it must not become empty."""
        content = self.rewritten(message.content) or replace(self, drop=False).rewritten(message.content)
        return _with_content(message, content)

    def rewritten(self, content: Content) -> Content:
        if isinstance(content, str):
            return replace_image_links(content, self._description)
        return [new for block in content for new in self._block(block)]

    def _block(self, block: str | Block) -> list[str | Block]:
        match block:
            case str(text) | {"type": "text", "text": str(text)}:
                new = replace_image_links(text, self._description)
                whole = new if isinstance(block, str) else {**block, "text": new}
                return [whole] if new or not text else []
            case {"type": "tool_file"} if not image_type(block):
                return [_text_block(_file(block))]
        image_id = _image_id(block)
        return [block] if image_id is None else list(self._shown(image_id))

    # --- images ---

    def _shown(self, image_id: str) -> Iterator[Block]:
        if description := self._description(image_id):
            yield _text_block(description)
        if image := self.at_hand.get(image_id):
            data = base64.b64encode(image.data).decode()
            yield {"type": "image", "base64": data, "mime_type": image.mime_type}

    def _description(self, image_id: str, label: str = "") -> str:
        if self.drop:
            return ""
        caption = self.captions.get(image_id) or " ".join(label.split())
        return f"[Image: {caption} (id {image_id})]" if caption else f"[Image (id {image_id})]"


# --- what stands in an answer ---


def _captions(message: AIMessage) -> dict[str, str]:
    """Return what each image of a message was to show; nothing where the calls do not distinguish them."""
    prompts, refs = _prompts(message), images_of(message)
    in_order = list(prompts.values())
    if len(in_order) == 1:
        in_order *= len(refs)  # one call may draw several
    placed = {ref["id"]: prompt for ref, prompt in zip(refs, in_order, strict=False)}
    return prompts | (placed if len(in_order) == len(refs) else {})


def _prompts(message: AIMessage) -> dict[str, str]:
    """Return what the image tool was asked for, by the id of the call, without the attempts that failed."""
    blocks = _standard_blocks(message)
    failed = {block.get("tool_call_id") for block in blocks if block.get("status") == "error"}
    calls = [block for block in blocks if block["type"] == "server_tool_call" and block["name"] == "image_generation"]
    return {
        call["id"]: " ".join(str(call["args"].get("prompt", "")).split()) for call in calls if call["id"] not in failed
    }


def _standard_blocks(message: AIMessage) -> list[Block]:
    # Not `content_blocks`, which asks another translator where the message has lost its metadata.
    return [dict(block) for block in translate_message(message)] if is_from_conversations(message) else []


def _links(message: AIMessage) -> Iterator[str]:
    """Yield a line for each source and file, and for each image that is public."""
    for block in _standard_blocks(message):
        match block:
            case {"type": "text", "annotations": notes}:
                yield from (f"Source: {_link(note, note.get('title'))}" for note in notes)
            case {"type": "file", "url": _}:
                yield f"File: {_link(block, block.get('extras', {}).get('document_name'))}"
            case {"type": "file"}:
                yield _file({**block, **block.get("extras", {})})
            case {"type": "image", "url": str(url)} if url.startswith("http"):
                yield f"Image: {_link(block, None)}"


def _link(target: Mapping[str, Any], label: str | None) -> str:
    url = target.get("url")
    return f"[{label or url}]({url})" if url else str(label)


# --- small parts ---


def _image_id(block: Any) -> str | None:
    """Return the id of an image that a block names but does not bring along."""
    match block:
        case {"type": "tool_file", "file_id": str(file_id)}:
            return file_id
        case (
            {"type": "image", "url": str(url)}
            | {"type": "image_url", "image_url": str(url)}
            | {"type": "image_url", "image_url": {"url": str(url)}}
        ):
            return next(iter(image_ids(url)), None)
        case {"type": "image", "file_id": str(file_id)} if "base64" not in block:
            return file_id
    return None


def _file(block: Block) -> str:
    name = block.get("file_name")
    return f"[File: {name} (id {block.get('file_id')})]" if name else f"[File (id {block.get('file_id')})]"


def _text_block(text: str) -> Block:
    return {"type": "text", "text": text}


def _as_blocks(content: Content) -> list[Any]:
    return [_text_block(content)] if isinstance(content, str) else content


def _with_content(message: _Message, content: Content) -> _Message:
    return message if content == message.content else message.model_copy(update={"content": content})


def _joined(separator: str, *parts: str) -> str:
    return separator.join(filter(None, (part.strip() for part in parts)))


def _awaits_results(messages: Sequence[BaseMessage]) -> bool:
    """Return whether results of tool calls are still to come; nothing may stand between them."""
    asked = {call["id"] for message in messages if isinstance(message, AIMessage) for call in message.tool_calls}
    return not asked <= {message.tool_call_id for message in messages if isinstance(message, ToolMessage)}
