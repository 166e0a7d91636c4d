"""Native blocks to LangChain's standard content blocks, registered as translator `mistralai_conversations`.

LangChain calls it for `message.content_blocks` and `output_version="v1"`.
https://docs.langchain.com/oss/python/langchain/messages#standard-content-blocks
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, cast

from langchain_core.messages import AIMessage, AIMessageChunk
from langchain_core.messages.content import KNOWN_BLOCK_TYPES, ContentBlock

from langchain_mistral_imagegen._messages.native_blocks import Block
from langchain_mistral_imagegen._protocol.entries import read_json
from langchain_mistral_imagegen._protocol.image_tool import IMAGE_TOOL, tool_name

_IMAGE_TYPES = {
    "png": "image/png",
    "jpg": "image/jpeg",
    "jpeg": "image/jpeg",
    "webp": "image/webp",
    "gif": "image/gif",
}


def image_type(tool_file: Mapping[str, Any]) -> str | None:
    """Return the mime type of the image that a `tool_file` claims to be, or `None` if it is no image."""
    claimed = str(tool_file.get("file_type") or "").removeprefix("image/").lower()
    if claimed in _IMAGE_TYPES:
        return _IMAGE_TYPES[claimed]
    return "image/png" if tool_name(str(tool_file.get("tool") or "")) == IMAGE_TOOL else None


def _index(prefix: str, block: Block) -> Block:
    # A string is the index of a block that is standard already.
    return {"index": f"lc_{prefix}_{block['index']}"} if isinstance(block.get("index"), int) else {}


def _extras(block: Block, *names: str) -> Block:
    extras = {name: block[name] for name in names if block.get(name) is not None}
    return {"extras": extras} if extras else {}


def _text(block: Block) -> Iterator[Block]:
    yield {"text": "", **block, **_index("txt", block)}


def _thinking(block: Block) -> Iterator[Block]:
    yield {
        "type": "reasoning",
        "reasoning": block.get("thinking", ""),
        **_extras(block, "signature", "references"),
        **_index("rsn", block),
    }


def _tool_file(block: Block) -> Iterator[Block]:
    mime_type = image_type(block)
    yield {
        "type": "image" if mime_type else "file",
        "id": block["file_id"],
        "file_id": block["file_id"],
        **({"mime_type": mime_type} if mime_type else {}),
        **_extras(block, "tool", "file_name", "file_type"),
        **_index("img" if mime_type else "fil", block),
    }


def _image_url(block: Block) -> Iterator[Block]:
    image = block["image_url"]
    yield {
        "type": "image",
        "url": image if isinstance(image, str) else image.get("url", ""),
        **_index("img", block),
    }


def _document_url(block: Block) -> Iterator[Block]:
    yield {
        "type": "file",
        "url": block["document_url"],
        **_extras(block, "document_name"),
        **_index("fil", block),
    }


def _tool_reference(block: Block) -> Iterator[Block]:
    """Yield a text with nothing but a citation; `_translate` joins it to the text that cites."""
    citation = {"type": "citation", **{name: block[name] for name in ("url", "title") if block.get(name)}}
    citation |= _extras(block, "tool", "favicon", "description", "source")
    index = _index("txt", {"index": block["cites"]}) if "cites" in block else _index("cit", block)
    yield {"type": "text", "text": "", "annotations": [citation], **index}


def _tool_call_chunk(block: Block) -> Iterator[Block]:
    if "arguments" in block or "name" in block:
        named = {"name": block["name"]} if "name" in block else {}
        yield {
            "type": "server_tool_call_chunk",
            "id": block.get("id", ""),
            **named,
            "args": block.get("arguments", ""),
            **_extras(block, "function", "confirmation_status"),
            **_index("stc", block),
        }
    yield from _tool_result(block)


def _tool_call(block: Block) -> Iterator[Block]:
    args = _json_object(block.get("arguments", ""))
    unread = {"arguments": block["arguments"]} if args is None else {}
    yield {
        "type": "server_tool_call",
        "id": block.get("id", ""),
        "name": block.get("name", ""),
        "args": args or {},
        **_extras({**block, **unread}, "function", "confirmation_status", *unread),
        **_index("stc", block),
    }
    yield from _tool_result(block)


def _tool_result(block: Block) -> Iterator[Block]:
    if "status" not in block:
        return
    yield {
        "type": "server_tool_result",
        "tool_call_id": block.get("id", ""),
        "status": block["status"],
        "output": block.get("info", {}),
        "extras": {"block_type": "tool.execution", "tool": block.get("tool", "")},
        **_index("str", block),
    }


def _json_object(text: str) -> Block | None:
    """Read JSON arguments; nothing is an empty object, and what is not an object is `None`."""
    try:
        value = read_json(text or "{}")
    except ValueError:
        return None
    return value if isinstance(value, dict) else None


def _other(block: Block) -> Iterator[Block]:
    if block.get("type") == "non_standard" and "value" in block:
        yield {**block, **_index("oth", block)}
    elif block.get("type") in KNOWN_BLOCK_TYPES:
        yield block
    else:
        value = {name: part for name, part in block.items() if name != "index"}
        yield {"type": "non_standard", "value": value, **_index("oth", block)}


_TRANSLATIONS: dict[str, Callable[[Block], Iterator[Block]]] = {
    "text": _text,
    "thinking": _thinking,
    "tool_file": _tool_file,
    "image_url": _image_url,
    "document_url": _document_url,
    "tool_reference": _tool_reference,
    "tool.execution": _tool_call,
    "function.call": _tool_call,
}
_PARTIAL_TRANSLATIONS = {**_TRANSLATIONS, "tool.execution": _tool_call_chunk, "function.call": _tool_call_chunk}


def _translate(content: Any, translations: dict[str, Callable[[Block], Iterator[Block]]]) -> list[Block]:
    if isinstance(content, str):
        return [{"type": "text", "text": content}] if content else []
    parts = ({"type": "text", "text": part} if isinstance(part, str) else part for part in content)
    translated = (new for block in parts for new in translations.get(block.get("type", ""), _other)(block))
    return _with_citations(translated)


def _with_citations(blocks: Iterable[Block]) -> list[Block]:
    """Join each citation to the text that cites, which is the first block with its index."""
    joined: list[Block] = []
    texts: dict[Any, Block] = {}
    for block in blocks:
        cites = "annotations" in block and not block["text"]
        if cites and (text := texts.get(block.get("index"))):
            text.setdefault("annotations", []).extend(block["annotations"])
            continue
        new = {**block, "annotations": [*block["annotations"]]} if "annotations" in block else block
        if new["type"] == "text" and "index" in new:
            texts.setdefault(new["index"], new)
        joined.append(new)
    return joined


def translate_message(message: AIMessage) -> list[ContentBlock]:
    """Return the standard blocks of a complete message; tool calls come last, as they do at Mistral."""
    calls = [{**call, "type": "tool_call"} for call in message.tool_calls]
    calls += [{**call, "type": "invalid_tool_call"} for call in message.invalid_tool_calls]
    return cast("list[ContentBlock]", _translate(message.content, _TRANSLATIONS) + calls)


def translate_chunk(message: AIMessageChunk) -> list[ContentBlock]:
    """Return the standard blocks of a chunk; of a merged stream, those of the complete message."""
    if message.chunk_position == "last":
        return translate_message(message)
    calls: list[Any] = [{**call, "type": "tool_call_chunk"} for call in message.tool_call_chunks]
    return cast("list[ContentBlock]", _translate(message.content, _PARTIAL_TRANSLATIONS) + calls)
