"""LangChain messages to Mistral's input entries, for a new conversation or the next turn of an old one.

Content is read as LangChain's standard blocks, which is what each provider's content translates to. Entries that
Mistral may not accept back are sent in another form: a tool that the server ran becomes a function call and result.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, TypeAlias, cast

from langchain_core.messages import AIMessage, BaseMessage, HumanMessage, SystemMessage, ToolMessage

from langchain_mistral_imagegen._messages.confirmations import CONFIRMATION, waiting_calls
from langchain_mistral_imagegen._messages.image_shapes import image_in
from langchain_mistral_imagegen._messages.native_blocks import MODEL_PROVIDER
from langchain_mistral_imagegen._messages.tool_names import to_wire
from langchain_mistral_imagegen._messages.tool_results import short_call_id
from langchain_mistral_imagegen._protocol.entries import Json
from langchain_mistral_imagegen._protocol.image_tool import IMAGE_TOOL
from langchain_mistral_imagegen.errors import InvalidInputError
from langchain_mistral_imagegen.images import IMAGE_URI_SCHEME

_Names: TypeAlias = dict[str | None, str]
_CHAT_MISTRAL_AI = "mistralai"
"""The provider in messages of langchain-mistralai."""
_canonical = json.JSONEncoder(sort_keys=True, ensure_ascii=False).encode


@dataclass(frozen=True, kw_only=True)
class Inputs:
    """The inputs of a conversation that messages become.

    Attributes:
        instructions: All system messages, in their order, joined by blank lines.
        entries: The others.
        attachments: Chunks that functions returned besides text; they follow once all results are given.
        confirmations: Answers to calls that wait for one.
    """

    instructions: str = ""
    entries: list[Json] = field(default_factory=list)
    attachments: list[Json] = field(default_factory=list)
    confirmations: list[Json] = field(default_factory=list)

    @cached_property
    def digest(self) -> bytes:
        """Digest of all but the instructions."""
        return hashlib.blake2b(canonical([self.entries, self.attachments, self.confirmations]), digest_size=32).digest()


def canonical(value: Any) -> bytes:
    """Return a JSON value as bytes that are the same for equal values."""
    return _canonical(value).encode("utf-8", "surrogatepass")


def read(message: BaseMessage, *, system_as_user: bool = False) -> Inputs:
    """Convert one message.

    Args:
        message: Of any kind.
        system_as_user: Read a system message as a user's: an agent has instructions of its own and takes no others.

    Raises:
        InvalidInputError: If it holds a block that the API cannot take.
    """
    match message:
        case SystemMessage() if not system_as_user:
            return Inputs(instructions=str(message.text))
        case AIMessage():
            return Inputs(entries=list(_answer(message)))
        case ToolMessage():
            return Inputs(entries=[_function_result(message)], attachments=_attachments(message))
        case _ if isinstance(message.content, str):
            return Inputs(entries=[_message(message.content, _role(message))])
    blocks = [_unwrapped(block) for block in message.content_blocks]
    chunks = [_chunk(block) for block in blocks if block["type"] != CONFIRMATION]
    return Inputs(
        entries=[_message(chunks, _role(message))] if chunks else [],
        confirmations=[_confirmation(block) for block in blocks if block["type"] == CONFIRMATION],
    )


def with_missing_results(messages: Sequence[BaseMessage], parts: Sequence[Inputs]) -> list[Inputs]:
    """Return the inputs of a history with a result for each call that has none because its arguments are no JSON.

    Such a call is never run by LangChain's agents, so the next message holds a result with the reason: without one
    the server would take nothing more.
    """
    complete = list(parts)
    answers = [
        (place, one)
        for place, one in enumerate(messages[:-1], start=1)
        if isinstance(one, AIMessage) and one.invalid_tool_calls
    ]
    if not answers:
        return complete
    given = {message.tool_call_id for message in messages if isinstance(message, ToolMessage)}
    for place, answer in answers:
        if missing := [call["id"] or "" for call in answer.invalid_tool_calls if call["id"] not in given]:
            results = [_result(call_id, "The arguments are not valid JSON.") for call_id in reversed(missing)]
            complete[place] = replace(complete[place], entries=[*results, *complete[place].entries])
    return complete


def join(parts: Sequence[Inputs], instructions: str = "") -> Inputs:
    """Join the inputs of several messages.

    Attachments of function results follow the last result of a row: the server takes nothing else while results are
    missing.

    Args:
        parts: The messages.
        instructions: Those that stand before all others.
    """
    whole = Inputs(instructions="\n\n".join(filter(None, [instructions, *(part.instructions for part in parts)])))
    for part in [*parts, Inputs()]:
        if whole.attachments and not any(entry["type"] == "function.result" for entry in part.entries):
            whole.entries.append(_message(list(whole.attachments), "user"))
            whole.attachments.clear()
        whole.entries.extend(part.entries)
        whole.attachments.extend(part.attachments)
        whole.confirmations.extend(part.confirmations)
    return whole


def _role(message: BaseMessage) -> str:
    return "assistant" if getattr(message, "role", "") == "assistant" else "user"


def _message(content: Any, role: str) -> Json:
    return {"object": "entry", "type": "message.input", "role": role, "content": content}


def _confirmation(block: Mapping[str, Any]) -> Json:
    return {name: block[name] for name in ("tool_call_id", "confirmation")}


# --- answers ---


def _answer(message: AIMessage) -> Iterator[Json]:
    """Yield the texts and calls of an AI message, in order.

    Reasoning is sent back if a Mistral model wrote it. That of other providers is left out: it comes with signatures or
    encrypted parts that only they can check or read, often as a mere summary, and Mistral's model would take it for its
    own.
    """
    text, thought = "", ""
    provider = message.response_metadata.get("model_provider")
    is_ours, is_of_mistral = provider == MODEL_PROVIDER, provider in {MODEL_PROVIDER, _CHAT_MISTRAL_AI}
    for block in cast("list[Json]", message.content_blocks):
        match block:
            case {"type": "text", "text": str(piece)}:
                text += piece
            case {"type": "reasoning", "reasoning": str(piece)} if is_of_mistral:
                thought += piece
            case {"type": "non_standard", "value": {"type": "thinking", "thinking": written}} if is_of_mistral:
                thought += _thought(written)
            case {"type": "server_tool_call" | "server_tool_result"} if is_ours:
                yield from _output(text, thought)
                yield from _tool_execution(block)
                text, thought = "", ""
    yield from _output(text, thought)
    calls = [(call["id"], call["name"], _json(call["args"])) for call in message.tool_calls]
    calls += [(call["id"], call["name"] or "", call["args"] or "") for call in message.invalid_tool_calls]
    yield from (_call(call_id or "", to_wire(name), arguments) for call_id, name, arguments in calls)


def _thought(written: Any) -> str:
    """Return the text of `ChatMistralAI`'s reasoning, which is no standard block until its package is imported."""
    parts = [{"text": written}] if isinstance(written, str) else written if isinstance(written, list) else []
    return "".join(str(part.get("text") or "") for part in parts if isinstance(part, dict))


def _output(text: str, thought: str) -> Iterator[Json]:
    if text.strip():
        # The API takes reasoning back; without a text it would be an empty answer.
        thinking = [{"type": "thinking", "thinking": [{"type": "text", "text": thought}]}] if thought else []
        content = [*thinking, {"type": "text", "text": text}]
        yield {"object": "entry", "type": "message.output", "role": "assistant", "content": content}


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, sort_keys=True)


def _call(call_id: str, name: str, arguments: str) -> Json:
    return {"object": "entry", "type": "function.call", "tool_call_id": call_id, "name": name, "arguments": arguments}


def _tool_execution(block: Mapping[str, Any]) -> Iterator[Json]:
    """Yield a tool that the server ran as a function call or its result, which the server is known to take back."""
    extras = block.get("extras", {})
    if block["type"] == "server_tool_result":
        yield _result(short_call_id(block["tool_call_id"]), _outcome(block, extras.get("tool", "")))
    elif "confirmation_status" not in extras:
        yield _call(short_call_id(block["id"]), extras.get("function") or block["name"], _json(block["args"]))


def _outcome(block: Mapping[str, Any], tool: str) -> str:
    if tool == IMAGE_TOOL and block["status"] == "success":
        return "The image was generated and shown to the user."
    output = block.get("output")
    result = output.get("result", output) if isinstance(output, Mapping) else output
    return result if isinstance(result, str) else json.dumps(result, ensure_ascii=False)


# --- results of functions ---

_ATTACHED = frozenset({"image", "file", "tool_file", "document_url", "image_url"})


def _result(call_id: str, result: str) -> Json:
    return {"object": "entry", "type": "function.result", "tool_call_id": call_id, "result": result}


def _function_result(message: ToolMessage) -> Json:
    texts = [_text(block) for block in map(_unwrapped, message.content_blocks) if block["type"] not in _ATTACHED]
    return _result(message.tool_call_id, "\n".join(texts))


def _attachments(message: ToolMessage) -> list[Json]:
    """Return the chunks of a function result besides text: a result itself can only be text."""
    return [_chunk(block) for block in map(_unwrapped, message.content_blocks) if block["type"] in _ATTACHED]


def _text(block: Mapping[str, Any]) -> str:
    text = block.get("text")
    return text if isinstance(text, str) else json.dumps(block, ensure_ascii=False)


# --- chunks ---


def _unwrapped(block: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return one of Mistral's own blocks, which LangChain wraps as non-standard, an image, or the block itself."""
    value = block.get("value")
    own = value if block["type"] == "non_standard" and isinstance(value, dict) and "type" in value else block
    return own if own["type"] in {"tool_file", "document_url", "image_url"} else _as_image(own)


def _as_image(block: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the image in a block of another provider or of MCP as a standard block: as text it would be base64."""
    found = image_in(block)
    return {"type": "image", "base64": found[0], "mime_type": found[1]} if found else block


def _chunk(block: Mapping[str, Any]) -> Json:
    match block:
        case {"type": "text" | "text-plain", "text": str(text)}:
            return {"type": "text", "text": text}
        case {"type": "image", "file_id": str(file_id)}:
            return {"type": "tool_file", "tool": IMAGE_TOOL, "file_id": file_id}
        case {"type": "image"}:
            return {"type": "image_url", "image_url": _url(block, "image/jpeg")}
        case {"type": "file"}:
            return {"type": "document_url", "document_url": _url(block, "application/pdf")} | _document_name(block)
        case {"type": "tool_file" | "document_url" | "image_url" | "thinking"}:
            return {name: value for name, value in block.items() if name not in {"index", "id"}}
    raise InvalidInputError(
        f"A message holds a block of type {block['type']!r}, which Mistral's conversations do not take; "
        "use text, image or file"
    )


def _document_name(block: Mapping[str, Any]) -> Json:
    extras = block.get("extras") or {}
    name = block.get("filename") or extras.get("filename") or extras.get("document_name")
    return {"document_name": name} if name else {}


def _url(block: Mapping[str, Any], mime_type: str) -> str:
    url = str(block.get("url") or "")
    if url.startswith(IMAGE_URI_SCHEME):
        raise InvalidInputError(
            f"{url!r} names an image that exists in its conversation only; to send it, download it with `images` and "
            "pass `image.content_block()`"
        )
    if url:
        return url
    if block.get("base64"):
        return f"data:{block.get('mime_type') or mime_type};base64,{block['base64']}"
    raise InvalidInputError(f"A {block['type']!r} block needs 'url', 'base64' or 'file_id'; it has {sorted(block)}")


# --- checks ---


def check_results(messages: Iterable[BaseMessage]) -> None:
    """Refuse a history in which a function call has no result, or a waiting call no confirmation.

    Raises:
        InvalidInputError: Naming the calls; the server would refuse them with code 3001 or 3230.
    """
    missing, waiting = _open_calls(messages)
    if missing:
        raise InvalidInputError(
            f"No result was given for {_names(missing)}: add a ToolMessage with that tool_call_id for each call, "
            "also for one that failed or was not run"
        )
    if waiting:
        raise InvalidInputError(
            f"{_names(waiting)} waits for confirmation: append the message that `confirm` makes to that answer"
        )


def _open_calls(messages: Iterable[BaseMessage]) -> tuple[_Names, _Names]:
    """Return the calls that have no result, and those that wait for confirmation: their names by their ids."""
    missing: _Names = {}
    waiting: _Names = {}
    for message in messages:
        match message:
            case HumanMessage(content=str()):  # the most frequent, which is nothing to check
                continue
            case AIMessage():
                for call in message.tool_calls:
                    missing[call["id"] or ""] = call["name"]
                for call in waiting_calls(message):
                    waiting[call["id"]] = call["name"]
            case ToolMessage():
                missing.pop(message.tool_call_id, None)
            case BaseMessage(content=list(blocks)):
                for call_id in map(_confirmed, blocks):
                    waiting.pop(call_id, None)
    return missing, waiting


def _confirmed(block: str | Mapping[str, Any]) -> str | None:
    if isinstance(block, Mapping) and block.get("type") == CONFIRMATION:
        return str(block["tool_call_id"])
    return None


def _names(calls: _Names) -> str:
    return ", ".join(f"{name} ({call_id})" for call_id, name in calls.items())
