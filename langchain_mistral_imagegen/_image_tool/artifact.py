"""`ImageGenerationArtifact`: the result of a generation for programs, and the text that the calling model reads."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Literal, NotRequired, TypeAlias

from langchain_core.messages import AIMessage
from langchain_core.messages.ai import UsageMetadata, add_usage
from typing_extensions import TypedDict

from langchain_mistral_imagegen._downloads import attempted
from langchain_mistral_imagegen.images import ImageRef, with_url


class ImageGenerationArtifact(TypedDict):
    """The result of a generation, for programs: plain JSON, no bytes."""

    schema_version: Literal[1]
    images: list[ImageRef]
    """In the answer's order; one that could not be stored is `failed`, and `ToolFileNode` downloads it later."""
    prompt: str
    """As written by the calling model."""
    text: str
    """The text of the image model's answer."""
    conversation_id: str
    """Of the first request, if there were several."""
    entry_ids: list[str]
    model: str
    usage: UsageMetadata | None
    """The sum over all requests."""
    created_at: str
    """When the answer began, as Mistral sent it, or else when it arrived; ISO 8601, such as `2026-11-25T12:00:00Z`."""
    connectors: NotRequired[dict[str, int]]
    """Number of calls of each built-in tool; Mistral bills these."""
    errors: NotRequired[list[str]]
    """Why some of several requests brought no image."""


Generated: TypeAlias = tuple[ImageGenerationArtifact, Sequence[Exception]]


def artifact_of(
    prompt: str,
    answer: AIMessage,
    references: Sequence[ImageRef],
    outcomes: Sequence[ImageRef | Exception],
    public_url: str | None,
) -> Generated:
    """Return the artifact of one answer, and the errors of images that could not be stored."""
    metadata = answer.response_metadata
    created_at = metadata.get("created_at") or datetime.now(UTC).isoformat(timespec="seconds")
    about: ImageRef = {"prompt": prompt, "created_at": created_at, "model": metadata["model_name"]}  # type: ignore[typeddict-item]  # a part of one
    stored = [
        attempted(ref, outcome) if isinstance(outcome, Exception) else outcome
        for ref, outcome in zip(references, outcomes, strict=True)
    ]
    artifact = ImageGenerationArtifact(
        schema_version=1,
        images=[{**with_url(ref, public_url), **about} for ref in stored],
        prompt=prompt,
        text=answer.text,
        conversation_id=metadata["conversation_id"],
        entry_ids=metadata["entry_ids"],
        model=metadata["model_name"],
        usage=answer.usage_metadata,
        created_at=created_at,
    )
    if "connectors" in metadata:
        artifact["connectors"] = metadata["connectors"]
    return artifact, [outcome for outcome in outcomes if isinstance(outcome, Exception)]


def combined(outcomes: Sequence[Generated | Exception]) -> Generated:
    """Return the result of several requests; one that brought an image is success.

    Raises:
        Exception: The first error, if there is no image at all.
    """
    done = [outcome for outcome in outcomes if not isinstance(outcome, Exception)]
    failed = [outcome for outcome in outcomes if isinstance(outcome, Exception)]
    if not done:
        raise failed[0]
    artifacts = [artifact for artifact, _ in done]
    usage: UsageMetadata | None = None
    connectors: dict[str, int] = {}
    for artifact in artifacts:
        usage = add_usage(usage, artifact["usage"]) if artifact["usage"] else usage
        for name, number in artifact.get("connectors", {}).items():
            connectors[name] = connectors.get(name, 0) + number
    whole: ImageGenerationArtifact = {
        **artifacts[0],
        "images": [ref for artifact in artifacts for ref in artifact["images"]],
        "text": "\n\n".join(artifact["text"] for artifact in artifacts if artifact["text"]),
        "entry_ids": [entry for artifact in artifacts for entry in artifact["entry_ids"]],
        "usage": usage,
        "connectors": connectors,
    }
    if failed:
        whole["errors"] = [f"{type(error).__name__}: {error}" for error in failed]
    return whole, [error for _, errors in done for error in errors]


def with_an_image(artifact: ImageGenerationArtifact, errors: Sequence[Exception]) -> ImageGenerationArtifact:
    """Return the artifact.

    Raises:
        Exception: The first error, if no image could be stored.
    """
    if len(errors) == len(artifact["images"]):
        raise errors[0]
    return artifact


def text_of(artifact: ImageGenerationArtifact) -> str:
    """Return what the calling model reads: ids, sizes, the image model's words, and no path of the server."""
    lines = [f"Generated {len(artifact['images'])} image(s) for: {artifact['prompt']}"]
    lines += [_line(ref) for ref in artifact["images"]]
    lines += [f"- not generated: {error}" for error in artifact.get("errors", ())]
    lines += [f"The image model's words: {artifact['text']}"] if artifact["text"] else []
    return "\n".join(lines)


def _line(ref: ImageRef) -> str:
    if ref["status"] == "failed":
        return f"- id {ref['id']}: generated, but not stored ({ref['error']}); do not generate it again"
    pixels = f", {ref['width']}x{ref['height']} pixels" if "width" in ref else ""
    where = f", at {ref['url']}" if "url" in ref else ""
    return f"- id {ref['id']}: {ref['mime_type']}{pixels}, stored{where}"
