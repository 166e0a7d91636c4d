"""How the sandbox behaves: knobs for every observed shape of an answer, and for faults."""

from __future__ import annotations

import json
from dataclasses import dataclass, field, fields
from typing import Any, Literal, get_args

Operation = Literal["converse", "image", "text", "download", "history", "list", "files", "agents", "any"]
Shape = Literal["tool_file", "url", "markdown", "text"]
Period = Literal["minute", "day"]
Framing = Literal["normal", "crlf", "comments", "no_event_line", "done"]
_WORDS = {
    "on": get_args(Operation),
    "shape": get_args(Shape),
    "quota": (*get_args(Period), None),
    "framing": get_args(Framing),
}


@dataclass(frozen=True, kw_only=True)
class Behavior:
    """Knobs; each default means "as usual".

    They can be set for a whole `Sandbox`, queued with `Sandbox.behave`, sent with one request as JSON in the header
    `x-sandbox-behavior`, or set for one conversation as JSON text in its `metadata["sandbox"]`.

    Attributes:
        on: Which requests a queued behavior is for; `converse` is start, append, restart and chat
            completions; `image` those of them with the image tool, `text` those without.
        shape: How an image comes back: as a `tool_file` chunk, only as a `url` in the tool's result, as a `markdown`
            link in the text, or not at all (`text`).
        images: Images in one answer.
        tool_timeouts: Failed attempts of the tool before the first image.
        text: Text of the answer, instead of what the rules give.
        outputs: Output entries to answer with, as they are.
        events: A body to stream, as it is.
        status: HTTP status to answer with instead.
        body: Its body: JSON, or a string for plain text; by default what Mistral was seen to send.
        headers: Further headers of the response.
        quota: Answer that the image tool's quota of the minute or the day is used up.
        delay: Seconds before the answer.
        writing: Seconds that it takes to write the answer; meanwhile its conversation is listed, with the inputs alone.
        pace: Seconds between two events, or between two 64 KiB pieces of a download.
        error_after: End a stream with `conversation.response.error` after this many events.
        cut_after: Close the connection after this many events of a stream, or bytes of a download.
        framing: How server-sent events are written.
        unknown: Add an entry, a chunk, an event and a field of unknown types.
        documentation: Answer as Mistral's documentation prints it: no `arguments`, `info` empty.
        thinking: Add reasoning.
        reference: Add a cited source.
        expired: Signed URLs are refused as expired.
        file_bytes: Bytes of every image, instead of a drawing.
        file_size: Pad drawings to this many bytes.
        restart_inclusive: Whether a restarted conversation keeps the entry it is restarted from.
        filters_metadata: Whether the list of conversations applies the metadata filter of the request.

    Raises:
        ValueError: If `on`, `shape`, `quota` or `framing` is none of its words.
    """

    on: Operation = "converse"
    shape: Shape = "tool_file"
    images: int = 1
    tool_timeouts: int = 0
    text: str | None = None
    outputs: list[dict[str, Any]] | None = None
    events: str | None = None
    status: int | None = None
    body: Any = None
    headers: dict[str, str] = field(default_factory=dict)
    quota: Period | None = None
    delay: float = 0.0
    writing: float = 0.0
    pace: float = 0.0
    error_after: int | None = None
    cut_after: int | None = None
    framing: Framing = "normal"
    unknown: bool = False
    documentation: bool = False
    thinking: bool = False
    reference: bool = False
    expired: bool = False
    file_bytes: bytes | None = None
    file_size: int | None = None
    restart_inclusive: bool = True
    filters_metadata: bool = True

    def __post_init__(self) -> None:
        """Refuse words that a knob does not have; a behavior for an unknown operation would never be used."""
        for knob, words in _WORDS.items():
            if (word := getattr(self, knob)) not in words:
                raise ValueError(f"{knob}={word!r} is none of {', '.join(map(repr, words))}")

    @classmethod
    def from_json(cls, text: str) -> Behavior:
        """Read knobs from JSON.

        Raises:
            ValueError: If it is not an object with names of knobs, or a knob does not have its word.
        """
        knobs = json.loads(text)
        names = {knob.name for knob in fields(cls)}
        if not isinstance(knobs, dict) or not knobs.keys() <= names:
            raise ValueError(f"{text!r} must be a JSON object with names among {sorted(names)}")
        return cls(**knobs)
