"""Only `finish_reason` is set, because langchain-core knows no normalised one; this notices when it does."""

from __future__ import annotations

from pathlib import Path

import langchain_core
import pytest

from langchain_mistral_imagegen.sandbox import Behavior

NAMES = ("normalized_finish_reason", "normalised_finish_reason", "finish_reason_normalized")


def test_langchain_core_has_no_field_for_a_normalised_reason() -> None:
    sources = list(Path(langchain_core.__file__).parent.rglob("*.py"))
    assert len(sources) > 100
    assert [source.name for source in sources if any(name in source.read_text("utf-8") for name in NAMES)] == []


@pytest.mark.parametrize("transport", ["conversations", "completions"])
@pytest.mark.parametrize("stream", [False, True])
async def test_the_reason_stands_under_one_name(face, make_model, sandbox, transport, stream) -> None:
    sandbox.behave(Behavior(text="Hello."))
    model = make_model(tools=[], transport=transport)
    answer = await (face.streamed(model, "Hi.") if stream else face.call(model, "invoke", "Hi."))
    named = {name: value for name, value in answer.response_metadata.items() if "finish" in name}
    assert named == {"finish_reason": "stop"}
