"""Testing your app: the fixture `mistral_sandbox` stands for Mistral, scripts its answers and counts what is paid.

Costs nothing. Run: `pytest cookbook/testing_your_app.py`, after `pip install -e '.[test]'`. In a project of your own
the fixture comes with this package (extra `sandbox`), the app is a module, and the tests are another.
"""

import pytest

from langchain_mistral_imagegen import MistralImageGenerationTool
from langchain_mistral_imagegen.errors import NoImageError, OutcomeUnknownError
from langchain_mistral_imagegen.sandbox import Behavior, Sandbox

# --- the app: it knows nothing of the sandbox ---


def postcard(place: str) -> bytes:
    """Draw a postcard."""
    tool = MistralImageGenerationTool(style="a postcard of the fifties")
    (image,) = tool.generate(f"a view of {place}")["images"]
    return tool.store.get(image["key"])


# --- its tests ---


def test_one_image_is_asked_for_and_paid(mistral_sandbox: Sandbox) -> None:
    assert postcard("Rome").startswith(b"\xff\xd8")  # JPEG, a placeholder
    assert mistral_sandbox.prompts == ["Generate this image: a view of Rome\n\nStyle: a postcard of the fifties"]
    assert mistral_sandbox.paid == 1


def test_a_refusal_in_words_is_an_error(mistral_sandbox: Sandbox) -> None:
    mistral_sandbox.behave(Behavior(shape="text", text="I would rather not."))
    with pytest.raises(NoImageError, match="rather not"):
        postcard("Atlantis")


def test_a_used_up_minute_is_waited_for(mistral_sandbox: Sandbox) -> None:
    mistral_sandbox.behave(Behavior(quota="minute", headers={"retry-after": "0"}))
    assert postcard("Rome")
    assert mistral_sandbox.paid == 1


def test_what_may_have_been_paid_for_is_not_retried(mistral_sandbox: Sandbox) -> None:
    mistral_sandbox.behave(Behavior(status=502))
    with pytest.raises(OutcomeUnknownError):
        postcard("Rome")
    assert len(mistral_sandbox.prompts) == 1
