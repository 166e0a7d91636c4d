"""Decides what to answer, by a few rules: draw, call a function, fill a schema, hand over, or chat."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from langchain_mistral_imagegen.sandbox.records.steps import CallFunction, DrawImage, HandOver, Search, SendText, Step
from langchain_mistral_imagegen.sandbox.replies.schema_values import SchemaValues

Entry = dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class Question:
    """All that an answer depends on.

    Attributes:
        entries: The conversation so far, ending with the latest inputs.
        tools: Tools of the question or the agent.
        completion_args: As sent.
        handoffs: Names by id of the agents that this one may hand over to.
        instructions: System prompt of the conversation or the agent.
    """

    entries: Sequence[Entry]
    tools: Sequence[dict[str, Any]] = ()
    completion_args: dict[str, Any] = field(default_factory=dict)
    handoffs: dict[str, str] = field(default_factory=dict)
    instructions: str = ""

    @property
    def text(self) -> str:
        """The user's last text, without captions of images such as "[Image (id 1)]"."""
        users = [entry for entry in self.entries if entry.get("type") == "message.input" and entry["role"] == "user"]
        return _CAPTION.sub("", text_of(users[-1])) if users else ""

    @property
    def results(self) -> list[str]:
        """Results of functions since the user's last message, if the inputs end with one."""
        if not self.entries or self.entries[-1].get("type") != "function.result":
            return []
        return [str(one["result"]) for one in _since_last_user(self.entries) if one["type"] == "function.result"]

    @property
    def functions(self) -> dict[str, dict[str, Any]]:
        """The function tools by name."""
        return {tool["function"]["name"]: tool["function"] for tool in self.tools if tool["type"] == "function"}

    def has(self, tool: str) -> bool:
        """Return whether there is a built-in tool."""
        return any(one["type"] == tool for one in self.tools)


_CAPTION = re.compile(r"\[(?:Image|Picture)\b[^\]]*\]")
_IMAGE = re.compile(
    r"\b(?:pictures?|images?|photos?|illustrations?|drawings?|paintings?|sketch|dessins?|bild(?:er)?|imagen)\b"
    r"|\b(?:draw|paint|illustrate|dessine|peins|zeichne|male|dibuja|pinta)\b"
    r"|^(?:an?|une?|eine?) [^?]+$"
    r"|^(?:please )?(?:generate|g[eé]n[eè]re|erzeuge|genera)\b",
    re.IGNORECASE,
)
_REFINEMENT = re.compile(
    r"^(?:now\b|make (?:it|them|him|her|this|that|these|those)\b|add\b|with\b|and now\b|change\b|again\b|another\b)",
    re.IGNORECASE,
)
_NO_IMAGE = re.compile(
    r"\b(?:no|without an?y?|don't|do not|not) (?:an? )?(?:picture|image|draw|generate)", re.IGNORECASE
)
_ALWAYS = re.compile(r"\bgenerate\b.*\bimage generation tool\b", re.IGNORECASE)
_CHAT = re.compile(r"^(?:hello|hi|hey|thanks?|bonjour|hallo|hola)\b|\?\s*$", re.IGNORECASE)
_GIST = re.compile(
    r"^(?:please |can you |bitte )*(?:now )?"
    r"(?:generate|draw|paint|create|make|show|illustrate|g[eé]n[eè]re|dessine|peins|cr[eé]e"
    r"|zeichne|male|erzeuge|erstelle|dibuja|genera|crea|pinta)"
    r"(?: me| us|-moi)?(?: this image:?)?\s*"
    r"(?:an? (?:image|picture|photo|drawing|painting|illustration) (?:of|with|showing)\s*)?",
    re.IGNORECASE,
)


def respond(question: Question) -> list[Step]:
    """Decide what to do."""
    for decide in (_hand_over, _call, _fill, _draw, _search):
        if steps := decide(question):
            return steps
    return [_reply(question, _words(question))]


def text_of(entry: Entry) -> str:
    """Return the text of a message entry."""
    content = entry.get("content") or ""
    chunks = [{"text": content}] if isinstance(content, str) else [one for one in content if isinstance(one, dict)]
    return " ".join(chunk.get("text") or "" for chunk in chunks)


def _since_last_user(entries: Sequence[Entry]) -> Sequence[Entry]:
    spoken = [n for n, entry in enumerate(entries) if entry.get("type") == "message.input" and entry["role"] == "user"]
    return entries[spoken[-1] :] if spoken else entries


def _hand_over(question: Question) -> list[Step]:
    if question.results:
        return []
    wanted = re.search(r"\bhand (?:it )?(?:off|over)\b|\bask the\b", question.text, re.IGNORECASE)
    named = [one for one, name in question.handoffs.items() if name.lower() in question.text.lower()]
    chosen = named or (list(question.handoffs)[:1] if wanted else [])
    return [HandOver(chosen[0])] if chosen else []


def _call(question: Question) -> list[Step]:
    choice = question.completion_args.get("tool_choice", "auto")
    if choice == "none" or not question.functions:
        return []
    if question.results:
        return _call_another(question) if choice in {"any", "required"} else []
    wanted = [name for name, function in question.functions.items() if _is_about(question.text, name, function)]
    if not wanted and choice in {"any", "required"}:
        wanted = list(question.functions)[:1]
    return [step for name in wanted for step in _calls(question, name)]


def _call_another(question: Question) -> list[Step]:
    """Call a function that was not called since the user's message; a model that repeats one would never end."""
    called = {e.get("name") for e in _since_last_user(question.entries) if e.get("type") == "function.call"}
    others = [name for name in question.functions if name not in called]
    return _calls(question, others[0]) if others else []


def _is_about(text: str, name: str, function: dict[str, Any]) -> bool:
    words = set(re.findall(r"[a-z]{4,}", text.lower()))
    named = set(re.findall(r"[a-z]{4,}", re.sub(r"(?<=[a-z])(?=[A-Z])", " ", name).replace("_", " ").lower()))
    described = set(re.findall(r"[a-z]{4,}", function.get("description", "").lower()))
    return name.lower() in text.lower() or bool(named & words) or len(described & words) > 1


def _calls(question: Question, name: str) -> list[Step]:
    """Call once, or for each name in "in Paris and London" where the function takes one string."""
    schema = question.functions[name].get("parameters") or {}
    properties = schema.get("properties", {})
    places = re.search(r"\b([A-Z]\w+)((?:, [A-Z]\w+)*) and ([A-Z]\w+)", question.text)
    if places and len(properties) == 1 and next(iter(properties.values())).get("type") == "string":
        found = re.findall(r"[A-Z]\w+", places[0])
        return [CallFunction(name, {next(iter(properties)): place}) for place in found]
    return [CallFunction(name, SchemaValues(question.text).value({"type": "object", **schema}))]


def _fill(question: Question) -> list[Step]:
    wanted = question.completion_args.get("response_format") or {}
    drawn = [step for step in _draw(question) if isinstance(step, DrawImage)]
    match wanted.get("type"):
        case "json_schema":
            schema = wanted["json_schema"]["schema"]
            return [
                *drawn,
                SendText(
                    json.dumps(
                        SchemaValues(" ".join([*question.results, question.text])).value(schema), ensure_ascii=False
                    )
                ),
            ]
        case "json_object":
            keys = re.findall(r"['\"`](\w+)['\"`]", question.text) or ["answer"]
            return [*drawn, SendText(json.dumps(dict.fromkeys(keys, _words(question)), ensure_ascii=False))]
    return []


def _draw(question: Question) -> list[Step]:
    if not question.has("image_generation") or _NO_IMAGE.search(question.text):
        return []
    if question.results and any(map(_drew_image, _since_last_user(question.entries))):
        return []
    before = [json.loads(e["arguments"])["prompt"] for e in question.entries if _drew_image(e)]
    if before and _REFINEMENT.search(question.text.strip()):
        change = re.sub(
            r"^(?:and )?now\b,?\s*|^make (?:it|them|him|her|this|that|these|those)\s*",
            "",
            question.text.strip(),
            flags=re.IGNORECASE,
        ).rstrip(".!?")
        prompt = f"{before[-1]}, {change}"
    elif _IMAGE.search(question.text) or (_ALWAYS.search(question.instructions) and not _CHAT.search(question.text)):
        prompt = _GIST.sub("", question.text.strip()).rstrip(".!?") or question.text
    else:
        return []
    return [DrawImage(prompt), _reply(question, f"Here is your image: {prompt}.")]


_DRAWINGS = {("tool.execution", "image_generation"), ("function.call", "generate_image")}


def _drew_image(entry: Entry) -> bool:
    """Return whether an entry drew an image, here or in a replayed conversation."""
    what = entry.get("type"), entry.get("name")
    return what in _DRAWINGS and bool(entry.get("arguments"))


def _search(question: Question) -> list[Step]:
    tool = next((one["type"] for one in question.tools if one["type"].startswith("web_search")), None)
    if not tool or not re.search(r"\b(?:search|look up|news|latest)\b", question.text, re.IGNORECASE):
        return []
    return [Search(tool, question.text), _reply(question, "I found one page about it.")]


def _reply(question: Question, text: str) -> SendText:
    """Answer with a text, cut as `stop` and `max_tokens` ask."""
    stop = question.completion_args.get("stop") or []
    for mark in [stop] if isinstance(stop, str) else stop:
        text = text.partition(mark)[0]
    words = re.findall(r"\S+\s*", text)
    return SendText("".join(words[: question.completion_args.get("max_tokens") or len(words)]))


def _words(question: Question) -> str:
    return "The result is: " + "; ".join(question.results) if question.results else _chat(question)


def _chat(question: Question) -> str:
    if re.search(r"\bmy name\b.*\?|\bwho am i\b", question.text, re.IGNORECASE):
        matches = [re.search(r"\b(?:my name is|i am|i'm) (\w+)", text_of(e), re.IGNORECASE) for e in question.entries]
        names = [found[1] for found in matches if found]
        return f"Your name is {names[-1]}." if names else "I do not know your name yet."
    if any(_has_image(entry) for entry in question.entries[-1:]):
        return "I see an image in your message, and I can describe it: it is an image."
    if re.match(r"\W*(?:hello|hi|hey|bonjour|salut|hallo|hola)\b", question.text, re.IGNORECASE):
        return "Hello! How can I help you today?"
    return f"This is the sandbox. You said: {question.text.strip() or 'nothing'}"


def _has_image(entry: Entry) -> bool:
    content = entry.get("content")
    return isinstance(content, list) and any(chunk.get("type") in {"image_url", "tool_file"} for chunk in content)
