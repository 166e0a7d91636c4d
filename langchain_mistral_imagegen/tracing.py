"""`ImageTracer`: LangSmith's tracer, with metadata about Mistral's turns and with stored images."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import quote, urlsplit

from langchain_core.messages import AIMessage, ToolMessage
from langchain_core.tracers import LangChainTracer, Run

from langchain_mistral_imagegen._messages.native_blocks import MODEL_PROVIDER
from langchain_mistral_imagegen._messages.references import images_of
from langchain_mistral_imagegen.costs import PRICES, Prices, estimate_cost
from langchain_mistral_imagegen.errors import InvalidInputError
from langchain_mistral_imagegen.images import ImageRef

Metadata = dict[str, Any]


class ImageTracer(LangChainTracer):
    """LangChain's tracer for LangSmith, with facts that are known only after the answer.

    Runs of `ChatMistralConversations` get metadata to filter by: `mistral_conversation_id`, `mistral_agent_id`,
    `mistral_images` (how many), `mistral_calls_<built-in tool>`, and `mistral_cost`, or `mistral_cost_at_least` if not
    all prices are known. A cost that is known as a whole is also the run's `total_cost`, which LangSmith adds up.

    If stored images are public, the runs that return them display them: a tool's message gets content blocks with their
    URLs, and the output of a node or graph with a channel `images` gets these blocks as `image_blocks`. Only the trace
    changes; the message that the model reads and the graph's state stay as they are. Bytes are never added.

    With it among the callbacks, LangChain adds no tracer of its own.

    Args:
        prices: What is charged.
        public_url: Address of the image store for everybody who reads the traces, such as that of
            `web.image_routes`, or of a public bucket and the folder in it: `<public_url>/<key>` is an image.
        **options: Of `LangChainTracer`: `project_name`, `client`, `tags`, `metadata`.

    Raises:
        InvalidInputError: If `public_url` is not an http or https URL, or has a query, as signed links do.

    Example:
        ```python
        tracer = ImageTracer(public_url="https://example.com/images", tags=["posters"])
        graph.invoke(state, {"callbacks": [tracer]})
        ```
    """

    def __init__(self, *, prices: Prices = PRICES, public_url: str | None = None, **options: Any) -> None:
        self._prices = prices
        self._public_url = None if public_url is None else _checked(public_url)
        super().__init__(**options)

    def copy_with_metadata_defaults(self, **defaults: Any) -> LangChainTracer:
        """Return a copy with further metadata or tags; LangGraph makes one for each graph."""
        copied = super().copy_with_metadata_defaults(**defaults)
        copied.__dict__ |= {"_prices": self._prices, "_public_url": self._public_url}
        return copied

    # --- LangChain's hooks for what has ended ---

    def _on_llm_end(self, run: Run) -> None:
        for fields in _answers(run.outputs or {}):
            self._describe(run, AIMessage(**{**fields, "type": "ai"}), fields)  # a stream's is of a type of its own
        super()._on_llm_end(run)

    def _on_tool_end(self, run: Run) -> None:
        output = (run.outputs or {}).get("output")
        if isinstance(output, ToolMessage) and (blocks := self._blocks(images_of(output))):
            text = [{"type": "text", "text": output.content}] if isinstance(output.content, str) else output.content
            run.outputs = {**(run.outputs or {}), "output": output.model_copy(update={"content": [*text, *blocks]})}
        super()._on_tool_end(run)

    def _on_chain_end(self, run: Run) -> None:
        images = (run.outputs or {}).get("images")
        if isinstance(images, Mapping) and (blocks := self._blocks(images.values())):
            run.outputs = {**(run.outputs or {}), "image_blocks": blocks}
        super()._on_chain_end(run)

    def _describe(self, run: Run, message: AIMessage, fields: Metadata) -> None:
        metadata, cost = message.response_metadata, estimate_cost(message, self._prices)
        facts = {
            "mistral_conversation_id": metadata.get("conversation_id"),
            "mistral_agent_id": metadata.get("agent_id"),
            "mistral_images": len(images_of(message)),
            **{f"mistral_calls_{name}": number for name, number in metadata.get("connectors", {}).items()},
            "mistral_cost" if cost.total is not None else "mistral_cost_at_least": cost.known,
        }
        run.add_metadata({name: fact for name, fact in facts.items() if fact is not None})
        if cost.total is not None and message.usage_metadata:
            fields["usage_metadata"] = {**message.usage_metadata, "total_cost": cost.total}

    def _blocks(self, refs: Iterable[Any]) -> list[dict[str, Any]]:
        if self._public_url is None:
            return []
        return [_block(ref, f"{self._public_url}/{quote(ref['key'])}") for ref in refs if _is_stored(ref)]


def _is_stored(ref: Any) -> bool:
    # Other people's chains may have something else by the name of `images`.
    return isinstance(ref, Mapping) and ref.get("status") == "stored" and isinstance(ref.get("key"), str)


def _answers(outputs: Mapping[str, Any]) -> list[Metadata]:
    """Return the fields of this package's messages, as the trace has them."""
    generations = [one for listed in outputs.get("generations") or () for one in listed]
    messages = [one["message"]["kwargs"] for one in generations if "message" in one]
    return [one for one in messages if one.get("response_metadata", {}).get("model_provider") == MODEL_PROVIDER]


def _block(ref: ImageRef, url: str) -> dict[str, Any]:
    return {"type": "image", "id": ref["id"], "url": url, "mime_type": ref.get("mime_type")}


def _checked(url: str) -> str:
    address = urlsplit(url)
    if address.scheme not in {"http", "https"} or not address.hostname or address.query or address.password:
        raise InvalidInputError("public_url is not a public address: it needs http or https, no query and no password")
    return url.rstrip("/")
