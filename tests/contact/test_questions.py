"""Each question of the first contact, answered by the sandbox in one way and in another."""

from __future__ import annotations

import io
import json
from dataclasses import fields

import pytest
from PIL import Image

from langchain_mistral_imagegen._contact import first_image, image_file
from langchain_mistral_imagegen._contact.free import FREE, KEY
from langchain_mistral_imagegen._contact.outlines import outline
from langchain_mistral_imagegen._contact.paid import IMAGES, PAID
from langchain_mistral_imagegen._contact.question import ask
from langchain_mistral_imagegen._contact.visit import MARK, Visit, tidy
from langchain_mistral_imagegen._messages.tool_names import RESERVED
from langchain_mistral_imagegen.errors import AuthenticationError
from langchain_mistral_imagegen.sandbox import Behavior, Sandbox

QUESTIONS = {question.name: question for question in (KEY, *FREE, *PAID)}
REFUSED = {"detail": [{"type": "value_error", "loc": ["body", "tools"], "msg": "protected function name"}]}
NO_BUILT_IN = {"object": "Error", "message": "Not available in this region.", "type": "x", "code": 3004}


@pytest.fixture
def visit() -> Visit:
    return Visit(model="mistral-medium-latest", host="127.0.0.1")


@pytest.fixture
def find(model, visit):
    return lambda name: model.client.run(ask(QUESTIONS[name], visit))


def answer_of(conversation_id: str = "conv_new", outputs=(), **more) -> dict:
    return {"conversation_id": conversation_id, "outputs": list(outputs), "usage": {}, **more}


def png() -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (8, 6), "orange").save(file, "PNG")
    return file.getvalue()


@pytest.mark.slow
async def test_all_is_as_assumed_in_the_sandbox_and_nothing_is_left(face, model, sandbox, visit, monkeypatch):
    monkeypatch.setattr(first_image, "_POLL", 0.05)
    findings = {one.name: await face.run(model, ask(one, visit)) for one in (KEY, *FREE) if one.applies(visit)}
    assert "region" not in findings
    sandbox.behave(Behavior(writing=3))
    findings |= {one.name: await face.run(model, ask(one, visit)) for one in PAID}
    assert {name: finding.answer for name, finding in findings.items() if finding.fits is not True} == {}
    assert sandbox.paid == IMAGES
    assert len(sandbox.conversations.by_id) > 5
    assert len(sandbox.files.by_id) == 2
    assert await face.run(model, tidy(visit, 0)) == []
    assert (sandbox.conversations.by_id, sandbox.files.by_id, sandbox.agents.by_id) == ({}, {}, {})
    assert "sig=" not in json.dumps([finding.evidence for finding in findings.values()])


# --- free ---


def test_a_wrong_key_is_an_error(make_model, visit):
    with Sandbox(api_key="right") as strict:
        model = make_model(base_url=strict.url, api_key="wrong", max_retries=0)
        with pytest.raises(AuthenticationError):
            model.client.run(KEY.find(visit))


def test_a_model_that_takes_no_tool_leaves_the_question_open(find, visit):
    assert find("model").fits is True
    visit.answers.clear()
    visit.model = "codestral-latest"
    finding = find("model")
    assert finding.fits is None
    assert "Built-in connectors are not supported" in finding.answer


def test_a_regional_host_takes_the_image_tool_or_not(find, sandbox, visit):
    assert not QUESTIONS["region"].applies(visit)
    visit.host = "api.eu.mistral.ai"
    assert QUESTIONS["region"].applies(visit)
    sandbox.behave(Behavior(status=400, body=NO_BUILT_IN))
    finding = find("region")
    assert (finding.fits, finding.answer.startswith("no: Not available in this region")) == (True, True)
    visit.failures.clear()
    assert (find("region").answer, find("region").fits) == ("yes", False)


def test_agents_that_are_not_listed_or_not_deleted_are_noticed(find, sandbox):
    found = find("agents")
    assert (found.answer, found.fits) == ("found by its name, keeps its metadata, gone when deleted", True)
    made = {"id": "ag_1", "name": "n", "model": "m"}
    for body in (made, {"data": []}, {}, made):  # created, listed, deleted, read
        sandbox.behave(Behavior(status=200, body=body, on="agents"))
    missed = find("agents")
    assert missed.answer == "NOT found by its name, NOT keeps its metadata, NOT gone when deleted"
    assert missed.fits is False


@pytest.mark.parametrize("filters", [True, False])
def test_whether_the_metadata_filter_is_applied(find, sandbox, filters):
    sandbox.behave(Behavior(filters_metadata=filters, on="list"), times=None)
    finding = find("filter")
    assert (finding.answer.split(":")[0], finding.fits) == (("applied", True) if filters else ("ignored", False))


def test_a_conversation_that_is_not_found_by_its_metadata_is_noticed(find, sandbox):
    sandbox.behave(Behavior(status=200, body=[], on="list"), times=None)
    assert find("filter").fits is find("restart_metadata").fits is find("order").fits is False


def test_the_order_of_lists(find, sandbox):
    assert (find("order").answer, find("order").fits) == ("newest first", True)
    oldest_first = [one.as_json() for one in sandbox.conversations.by_id.values()]
    sandbox.behave(Behavior(status=200, body=oldest_first, on="list"))
    finding = find("order")
    assert (finding.answer, finding.fits) == ("oldest first", False)


def test_the_id_of_an_appended_answer(find, sandbox):
    assert find("append").fits is True
    sandbox.behave(Behavior(status=200, body=answer_of()))
    finding = find("append")
    assert (finding.answer, finding.fits) == ("no, the answer has a new id", False)


@pytest.mark.parametrize("inclusive", [True, False])
def test_whether_a_copy_includes_the_entry(find, sandbox, inclusive):
    find("model")
    sandbox.behave(Behavior(restart_inclusive=inclusive))
    finding = find("restart_entry")
    assert finding.fits is inclusive
    assert finding.answer.startswith("yes" if inclusive else "no, it ends before that entry")


def test_a_server_that_counts_no_tokens_leaves_it_open(find, sandbox):
    find("model")
    sandbox.behave(Behavior(status=200, body=answer_of()))
    assert find("restart_entry").fits is None


def test_the_id_of_a_copy(find, sandbox, visit):
    assert find("restart_id").fits is True
    del visit.answers["copy"]
    sandbox.behave(Behavior(status=200, body=answer_of(visit.answers["first"].conversation_id)))
    finding = find("restart_id")
    assert (finding.answer, finding.fits) == ("no, the copy has the id of the original", False)


def test_which_names_are_refused(find, sandbox):
    refused = find("reserved")
    assert refused.fits is True
    assert set(refused.answer.removeprefix("refused: ").split(", ")) == refused.evidence.keys() <= RESERVED
    assert "protected function name" in refused.evidence["generate_image"]
    sent = [tool["function"]["name"] for request in sandbox.requests for tool in request.json["tools"]]
    assert sent[-1] == "local_generate_image"


def test_a_server_that_takes_all_names_and_one_that_takes_none_do_not_fit(find, sandbox):
    taken = answer_of()
    sandbox.behave(Behavior(status=200, body=taken, on="text"), times=len(RESERVED) + 1)
    all_taken = find("reserved")
    assert (all_taken.answer, all_taken.fits) == ("refused: none", False)
    sandbox.behave(Behavior(status=422, body=REFUSED, on="text"), times=None)
    none = find("reserved")
    assert none.fits is False
    assert "also the name that the package sends instead" in none.answer


def test_the_bodies_of_errors(find, sandbox):
    usual = find("errors")
    assert usual.fits is True
    assert usual.evidence["unknown conversation"]["body"]["code"] == 3000
    sandbox.behave(Behavior(status=404, body="", on="history"))
    silent = find("errors")
    assert (silent.fits, silent.answer.split(";")[0]) == (False, "unknown conversation: 404 unreadable")
    sandbox.behave(Behavior(status=400, on="history"))
    assert find("errors").fits is False


def test_an_unknown_field_that_is_ignored_makes_a_conversation_that_is_deleted(find, model, sandbox, visit):
    def made_meanwhile():
        from langchain_mistral_imagegen.sandbox.records.conversations import Conversation

        one = Conversation({"model": "m", "metadata": visit.metadata()})
        one.entries = [{"type": "message.output", "id": "msg_1", "content": "Yes."}]
        sandbox.conversations.by_id[one.id] = one

    sandbox.behave(Behavior(status=200, body=answer_of()))
    assert "unknown field: 200 is no error" in find("errors").answer
    made_meanwhile()
    assert model.client.run(tidy(visit, 5)) == []
    assert sandbox.conversations.by_id == {}


def test_the_quotas_in_headers(find, sandbox, visit):
    assert find("headers").answer.startswith("image-generation-day 10000/10000, image-generation-minute 10/10")
    visit.answers.clear()
    sandbox.behave(Behavior(status=200, body=answer_of(), headers={"x-ratelimit-remaining-req-minute": "3"}))
    finding = find("headers")
    assert (finding.answer, finding.fits) == ("req-minute 3/?", False)


# --- paid ---

SHAPES = {
    "tool_file": "as a tool_file chunk",
    "url": "as a URL in the tool's result",
    "markdown": "as a link in the text",
}


@pytest.mark.parametrize("question", ["shape", "stream"])
@pytest.mark.parametrize(("shape", "answer"), SHAPES.items())
def test_the_shape_of_an_image(find, sandbox, question, shape, answer):
    sandbox.behave(Behavior(shape=shape), times=None)
    finding = find(question)
    assert (finding.answer, finding.fits) == (answer, True)
    assert "sig=" not in json.dumps(finding.evidence)
    assert find("file").answer.startswith("at once")


@pytest.mark.parametrize("question", ["shape", "stream"])
def test_an_answer_without_an_image_leaves_it_open(find, sandbox, question):
    sandbox.behave(Behavior(shape="text", events=None), times=None)
    assert find(question).answer == "no image: the model answered with text"
    assert [find(name).fits for name in (question, "file", "type", "tool_file", "edit")] == [None] * 5


@pytest.mark.slow
def test_whether_a_conversation_is_listed_before_its_answer_is_complete(find, sandbox, visit, monkeypatch):
    monkeypatch.setattr(first_image, "_POLL", 0.02)
    sandbox.behave(Behavior(writing=3))
    assert (find("early").answer.split(",")[0], find("early").fits) == ("yes", True)
    assert (find("unfinished").answer, find("unfinished").fits) == ("message.input", True)

    visit.answers.clear()
    visit.mark = "another"
    sandbox.behave(Behavior(delay=0.6))
    late = find("early")
    assert (late.answer.startswith("no ("), late.fits) == (True, True)
    assert find("unfinished").answer == "no history was seen before the answer was complete"


@pytest.mark.slow
@pytest.mark.parametrize("stream", [False, True])
def test_an_image_whose_answer_is_lost_is_asked_for_once(model, sandbox, visit, stream):
    sandbox.behave(Behavior(status=504, on="image"), times=None)
    names = (
        ("confirmation", "stream", "edit") if stream else ("shape", "file", "type", "early", "unfinished", "tool_file")
    )
    findings = [model.client.run(ask(QUESTIONS[name], visit)) for name in names]
    assert [finding.fits for finding in findings] == [None] * len(names)
    starts = [request.json for request in sandbox.requests if request.method == "POST"]
    assert len([body for body in starts if body["stream"] is stream]) == 1
    assert visit.under_way == len(starts)


def test_a_list_that_cannot_be_read_does_not_lose_the_image(find, sandbox):
    sandbox.behave(Behavior(status=500, on="list"), times=None)
    assert find("shape").fits is True
    assert (find("early").answer, find("early").fits) == ("not known: the list cannot be read", None)
    assert sandbox.paid == 1


@pytest.mark.slow
def test_a_conversation_that_is_never_listed_is_noticed(find, sandbox):
    sandbox.behave(Behavior(status=200, body=[], on="list"), times=None)
    assert (find("early").answer, find("early").fits) == ("no, and not when the answer is complete", False)


@pytest.mark.slow
def test_a_history_with_half_an_answer_is_noticed(find, sandbox, monkeypatch):
    monkeypatch.setattr(first_image, "_POLL", 0.02)
    half = [{"type": "message.input", "content": "q"}, {"type": "tool.execution", "name": "image_generation"}]
    sandbox.behave(Behavior(writing=3))
    sandbox.behave(Behavior(status=200, body={"entries": half}, on="history"))
    finding = find("unfinished")
    assert finding.fits is False
    assert finding.answer == "message.input + tool.execution; then message.input"


@pytest.mark.slow
def test_a_file_that_is_not_there_at_once(find, sandbox, monkeypatch):
    monkeypatch.setattr(image_file, "_POLL", 0.02)
    sandbox.behave(Behavior(status=404, on="download"), times=2)
    finding = find("file")
    assert (finding.fits, finding.answer.partition("; ")[2]) == (False, "before: [404, 404]")
    assert find("type").fits is True


@pytest.mark.slow
def test_a_file_that_never_comes(find, sandbox, monkeypatch):
    monkeypatch.setattr(image_file, "_FILE_WAIT", 0.0)
    sandbox.behave(Behavior(status=404, on="download"), times=None)
    assert (find("file").answer, find("file").fits) == ("never within 0 s: [404]", False)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("data", "fits", "answer"), [(png(), True, "truly image/png, 8 x 6"), (b"<html>", False, "truly no known image")]
)
def test_the_true_type_of_the_file(find, sandbox, data, fits, answer):
    sandbox.behave(Behavior(file_bytes=data, on="any"), times=None)
    finding = find("type")
    assert finding.fits is fits
    assert finding.answer.startswith(f"application/octet-stream; {answer}")


def test_whether_a_confirmation_is_waited_for(find, sandbox, visit):
    assert (find("confirmation").fits, sandbox.paid) == (True, 0)
    visit.answers.clear()
    url = "https://mistralaiblackforestprod.blob.core.windows.net/images/image.jpg?sig=FAKE"
    done = {
        "type": "tool.execution.done",
        "id": "t",
        "name": "image_generation",
        "info": {"result": json.dumps({"url": url})},
    }
    events = [{"type": "conversation.response.started", "conversation_id": "conv_1"}, done]
    events += [{"type": "conversation.response.done", "usage": {}}]
    body = "".join(f"data: {json.dumps(event)}\n\n" for event in events)
    sandbox.behave(Behavior(events=body))
    finding = find("confirmation")
    assert (finding.answer, finding.fits) == ("no, the image was drawn unasked", False)
    assert find("stream").answer == "as a URL in the tool's result"
    assert find("edit").answer == "not asked: without a confirmation it would draw a third image"


def test_whether_a_tool_file_is_taken_as_input(find, sandbox):
    find("shape")
    assert find("tool_file").answer.startswith("yes, the model answers")
    sandbox.behave(Behavior(status=422))
    finding = find("tool_file")
    assert (finding.answer.split(":")[0], finding.fits) == ("no", True)


@pytest.mark.slow
def test_whether_an_image_can_be_edited(find, sandbox):
    usual = find("edit")
    assert (usual.answer.endswith(" takes prompt"), usual.fits, sandbox.paid) == (True, True, 1)
    call = {
        "type": "function.call",
        "tool_call_id": "Ab3dE5fG7",
        "name": "edit_image",
        "confirmation_status": "pending",
    }
    sandbox.behave(Behavior(outputs=[{**call, "arguments": '{"prompt": "blue", "image": "1"}'}]))
    edits = find("edit")
    assert (edits.answer, edits.fits) == ("edit_image takes image, prompt", False)
    sandbox.behave(Behavior(text="I cannot.", outputs=[]))
    assert find("edit").fits is None


def test_an_outline_holds_names_and_hosts_and_no_text():
    url = "https://mistralaiblackforestprod.blob.core.windows.net/images/image.jpg?se=1&sig=SECRET"
    sent = {"type": "tool.execution", "name": "image_generation", "info": {"result": json.dumps({"url": url})}}
    sent |= {"text": f"See ![]({url}).", "role": "x" * 50, "list": list(range(20)), "none": None}
    outlined = outline(sent)
    host = "mistralaiblackforestprod.blob.core.windows.net"
    assert outlined["info"]["result"] == {
        "JSON in a text": {"url": f"text of {len(url)} characters with URLs at {host}"}
    }
    assert outlined["text"].endswith(f"with URLs at {host}")
    assert (outlined["role"], outlined["list"][-1], outlined["none"]) == ("text of 50 characters", "and 8 more", None)
    assert outline("{no JSON") == "text of 8 characters"
    assert "SECRET" not in json.dumps(outlined)


def test_each_question_states_its_assumption_and_has_a_name_of_its_own():
    assert len(QUESTIONS) == 1 + len(FREE) + len(PAID)
    assert all(question.text.endswith("?") and question.assumes for question in QUESTIONS.values())
    assert MARK == "mistral-imagegen-check"


# --- each knob of the sandbox, turned one way and the other ---

CUT = "data: {}\n\n"
TURNED: list[tuple[dict, str, str, bool | None]] = [
    ({"images": 2}, "shape", "as a tool_file chunk (2 images)", True),
    ({"tool_timeouts": 1}, "shape", "as a tool_file chunk", True),
    ({"text": "Voilà."}, "shape", "as a tool_file chunk", True),
    ({"shape": "url"}, "shape", "as a URL in the tool's result", True),
    ({"outputs": []}, "shape", "no image", None),
    ({"unknown": True}, "shape", "as a tool_file chunk", True),
    ({"documentation": True}, "shape", "as a tool_file chunk", True),
    ({"thinking": True}, "shape", "as a tool_file chunk", True),
    ({"reference": True}, "shape", "as a tool_file chunk", True),
    ({"quota": "minute"}, "shape", "MinuteQuotaError", None),
    ({"quota": "day"}, "shape", "QuotaExceededError", None),
    ({"status": 422, "body": REFUSED}, "model", "InvalidRequestError: body.tools: protected", None),
    ({"headers": {"x-ratelimit-remaining-req-minute": "3"}, "status": 200, "body": answer_of()}, "headers", "req-minute 3", False),
    ({"delay": 0.01}, "model", "yes", True),
    ({"writing": 0.01}, "shape", "as a tool_file chunk", True),
    ({"pace": 0.001}, "stream", "as a tool_file chunk", True),
    ({"framing": "crlf"}, "stream", "as a tool_file chunk", True),
    ({"framing": "comments"}, "stream", "as a tool_file chunk", True),
    ({"framing": "no_event_line"}, "stream", "as a tool_file chunk", True),
    ({"framing": "done"}, "stream", "as a tool_file chunk", True),
    ({"error_after": 1}, "stream", "", None),
    ({"cut_after": 1}, "stream", "", None),
    ({"events": CUT}, "stream", "", None),
    ({"shape": "url", "expired": True}, "file", "never within 0 s: [403]", False),
    ({"file_bytes": b"<html>"}, "type", "application/octet-stream; truly no known image", False),
    ({"file_size": 300_000}, "type", "application/octet-stream; truly image/jpeg, 1024 x 768, 300,000 bytes", True),
    ({"restart_inclusive": False}, "restart_entry", "no, it ends before that entry", False),
    ({"filters_metadata": False}, "filter", "ignored", False),
]  # fmt: skip
USUAL = {"restart_entry": "yes", "filter": "applied", "shape": "as a tool_file chunk", "stream": "as a tool_file chunk"}
USUAL |= {
    "file": "at once",
    "model": "yes",
    "headers": "image-generation-day",
    "type": "application/octet-stream; truly image/jpeg",
}


@pytest.mark.parametrize(("knobs", "question", "answer", "fits"), TURNED, ids=str)
def test_a_knob_turned_one_way_and_the_other(find, sandbox, visit, monkeypatch, knobs, question, answer, fits):
    monkeypatch.setattr(first_image, "_POLL", 0.01)
    monkeypatch.setattr(image_file, "_FILE_WAIT", 0.0)
    assert find(question).answer.startswith(USUAL[question])
    visit.mark = "turned"
    for kept in (visit.answers, visit.failures, visit.notes):
        kept.clear()
    sandbox.behave(Behavior(on="any", **knobs), times=None)
    turned = find(question)
    assert (turned.answer.startswith(answer), turned.fits) == (True, fits), turned


def test_each_knob_is_turned():
    turned = {name for knobs, *_ in TURNED for name in knobs}
    assert {knob.name for knob in fields(Behavior)} == turned | {"on"}
