"""Carries out the steps of an answer: the output entries that Mistral would send."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from langchain_mistral_imagegen.sandbox.behavior import Behavior
from langchain_mistral_imagegen.sandbox.records import ids
from langchain_mistral_imagegen.sandbox.records.conversations import Conversation
from langchain_mistral_imagegen.sandbox.records.problems import invalid_request
from langchain_mistral_imagegen.sandbox.records.state import State
from langchain_mistral_imagegen.sandbox.records.steps import CallFunction, DrawImage, HandOver, Search, SendText, Step
from langchain_mistral_imagegen.sandbox.replies.responder import Question, respond, text_of

Json = dict[str, Any]
_TIMED_OUT = "Tool call timed out. Please try again."


def answer(state: State, conversation: Conversation, body: Json, behavior: Behavior) -> Json:
    """Answer a request and return Mistral's conversation response.

    Args:
        state: What the sandbox keeps; a conversation is added to it unless `store` is false.
        conversation: A draft that ends with the inputs of the request.
        body: The request's body.
        behavior: How to answer.
    """
    before = len(conversation.entries)
    outputs = _Answer(state, conversation, body, behavior).outputs()
    conversation.entries += [dict(entry) for entry in outputs]
    conversation.updated_at = ids.now()
    state.conversations.keep(conversation, store=body.get("store") is not False)
    usage = _usage(conversation.entries[:before], outputs)
    extra = {"novelty": "a field nobody knows yet"} if behavior.unknown else {}
    return {
        "object": "conversation.response", "conversation_id": conversation.id, "outputs": outputs, "usage": usage,
        "guardrails": None, **extra,
    }  # fmt: skip


def _usage(inputs: Sequence[Json], outputs: Sequence[Json]) -> Json:
    tools: dict[str, int] = {}
    for entry in outputs:
        if entry.get("type") == "tool.execution" and (name := entry.get("name")):
            tools[name] = tools.get(name, 0) + 1
    usage = {
        "prompt_tokens": 20 + sum(len(text_of(entry).split()) for entry in inputs),
        "completion_tokens": 10 + sum(len(text_of(entry).split()) for entry in outputs),
    }
    connectors = {"connector_tokens": 69 * sum(tools.values()), "connectors": tools} if tools else {}
    return {**usage, "total_tokens": sum(usage.values()) + 69 * sum(tools.values()), **connectors}


class _Answer:
    """Carries out the steps of one answer."""

    def __init__(self, state: State, conversation: Conversation, body: Json, behavior: Behavior) -> None:
        self._state = state
        self._conversation = conversation
        self._body = body
        self._behavior = behavior
        self._outputs: list[Json] = []
        self._chunks: list[Json] = []
        self._links: list[str] = []
        self._agents_asked: set[str] = set()

    def outputs(self) -> list[Json]:
        """Return the output entries."""
        if self._behavior.outputs is not None:
            return [self._stamp({"object": "entry", **entry}, "msg") for entry in self._behavior.outputs]
        for step in self._confirmed() if self._body.get("tool_confirmations") else self._decide():
            self._carry_out(step)
        if self._behavior.unknown:
            self._outputs.insert(0, self._stamp({"object": "entry", "type": "dream.sequence", "depth": 3}, "dream"))
        return self._outputs

    # --- deciding ---

    @property
    def _settings(self) -> Json:
        settings = self._conversation.settings
        if not settings.get("agent_id"):
            return settings
        return self._state.agents.version(settings["agent_id"], settings.get("agent_version"))

    def _decide(self) -> list[Step]:
        settings = self._settings
        handoffs = {
            one: self._state.agents.get(one).as_json()["name"]
            for one in settings.get("handoffs") or ()
            if one not in self._agents_asked  # two agents may name each other
        }
        args = {**(settings.get("completion_args") or {}), **(self._body.get("completion_args") or {})}
        question = Question(
            entries=self._conversation.entries,
            tools=settings.get("tools") or [],
            completion_args=args,
            handoffs=handoffs,
            instructions=settings.get("instructions") or "",
        )
        return respond(question)

    def _confirmed(self) -> list[Step]:
        steps: list[Step] = []
        for confirmation in self._body["tool_confirmations"]:
            step = self._conversation.pending.pop(confirmation["tool_call_id"], None)
            if step is None:
                raise invalid_request(f"No pending tool call {confirmation['tool_call_id']!r}.", 3001)
            steps += _as_confirmed(step, allowed=confirmation["confirmation"] == "allow")
        return steps

    # --- carrying out ---

    def _carry_out(self, step: Step) -> None:
        name = _tool_name(step)
        if name and self._needs_confirmation(name) and not self._body.get("tool_confirmations"):
            self._conversation.pending[call_id := ids.tool_call_id()] = step
            self._add("fc", type="function.call", tool_call_id=call_id, name=name, arguments=_arguments(step),
                      confirmation_status="pending")  # fmt: skip
            return
        match step:
            case DrawImage(prompt):
                self._draw(prompt)
            case Search(tool, query):
                self._execute(tool, tool, {"query": query}, json.dumps({"0": {"url": "https://example.com"}}))
            case CallFunction(called, arguments):
                self._add("fc", type="function.call", tool_call_id=ids.tool_call_id(), name=called,
                          arguments=json.dumps(arguments, ensure_ascii=False))  # fmt: skip
            case HandOver(agent_id):
                self._hand_over(agent_id)
            case SendText(text) if not self._conversation.pending:
                self._send_text(text)

    def _draw(self, prompt: str) -> None:
        behavior = self._behavior
        if behavior.shape == "text":
            return
        self._state.quota.take(behavior.images)
        for _ in range(behavior.tool_timeouts):
            self._execute("image_generation", "generate_image", {"prompt": prompt}, _TIMED_OUT)
        for number in range(behavior.images):
            shown = prompt if behavior.images == 1 else f"{prompt} ({number + 1})"
            file = self._state.files.add_image(shown, number, behavior)
            url = self._state.files.sign(file, -1 if behavior.expired else 3600)
            self._state.paid += 1
            if behavior.shape == "markdown":
                self._links.append(f"\n\n![{shown}]({url})")
            else:
                self._execute("image_generation", "generate_image", {"prompt": shown}, json.dumps({"url": url}))
            if behavior.shape == "tool_file":
                self._chunks.append({"type": "tool_file", "tool": "image_generation", "file_id": file.id,
                                     "file_name": file.name, "file_type": "png"})  # fmt: skip
            else:
                del self._state.files.by_id[file.id]

    def _execute(self, tool: str, function: str, arguments: Json, result: str) -> None:
        if self._behavior.documentation:
            self._add("tool_exec", type="tool.execution", name=tool, info={})
            return
        self._add("tool_exec", type="tool.execution", name=tool, arguments=json.dumps(arguments, ensure_ascii=False),
                  function=function, info={"result": result})  # fmt: skip

    def _hand_over(self, agent_id: str) -> None:
        old, new = self._settings, self._state.agents.get(agent_id).as_json()
        self._add("handoff", type="agent.handoff", previous_agent_id=old["id"], previous_agent_name=old["name"],
                  next_agent_id=new["id"], next_agent_name=new["name"])  # fmt: skip
        self._conversation.settings = {**self._conversation.settings, "agent_id": agent_id, "agent_version": None}
        self._agents_asked |= {old["id"], new["id"]}
        if self._body.get("handoff_execution") != "client":
            for step in self._decide():
                self._carry_out(step)

    def _send_text(self, text: str) -> None:
        text = (self._behavior.text if self._behavior.text is not None else text) + "".join(self._links)
        behavior = self._behavior
        before: list[Json] = []
        if behavior.thinking:
            thought = {"type": "text", "text": "The user wants an answer. I shall give one."}
            before.append({"type": "thinking", "thinking": [thought], "closed": True})
        after = [] if self._is_json else list(self._chunks)
        if behavior.reference:
            after.insert(0, {"type": "tool_reference", "tool": "web_search", "title": "An example",
                             "url": "https://example.com", "favicon": None, "description": "About it"})  # fmt: skip
        if behavior.unknown:
            after.append({"type": "hologram", "beams": [1, 2, 3]})
        content: Any = [*before, {"type": "text", "text": text + "\n\n"}, *after] if before or after else text
        self._add("msg", type="message.output", role="assistant", content=content)

    @property
    def _is_json(self) -> bool:
        """Whether JSON is asked for; the chunks that refer to files are left out then."""
        args = {**(self._settings.get("completion_args") or {}), **(self._body.get("completion_args") or {})}
        return bool((args.get("response_format") or {}).get("type", "text") != "text")

    def _needs_confirmation(self, name: str) -> bool:
        for tool in self._settings.get("tools") or ():
            named = (tool.get("tool_configuration") or {}).get("requires_confirmation") or ()
            if name in named:
                return True
        return False

    def _add(self, prefix: str, **content: Any) -> None:
        self._outputs.append(self._stamp({"object": "entry", **content}, prefix))

    def _stamp(self, entry: Json, prefix: str) -> Json:
        settings = self._settings
        times = {"created_at": ids.now(), "completed_at": ids.now()}
        agent = {"agent_id": settings["id"]} if self._conversation.settings.get("agent_id") else {}
        author = {} if entry.get("type") == "agent.handoff" else {"model": settings["model"], **agent}
        return {**times, **author, "id": ids.new_id(prefix), **entry}


def _tool_name(step: Step) -> str | None:
    match step:
        case DrawImage():
            return "generate_image"
        case Search(tool, _):
            return tool
        case CallFunction(name, _):
            return name
    return None


def _arguments(step: Step) -> str:
    match step:
        case DrawImage(prompt):
            return json.dumps({"prompt": prompt}, ensure_ascii=False)
        case CallFunction(_, arguments):
            return json.dumps(arguments, ensure_ascii=False)
    return "{}"


def _as_confirmed(step: Step, *, allowed: bool) -> list[Step]:
    if not allowed:
        return [SendText("The tool was not allowed to run.")]
    return [step, SendText(f"Here is your image: {step.prompt}.")] if isinstance(step, DrawImage) else [step]
