"""The fixture for other people's tests, in pytest runs of their own."""

from __future__ import annotations

import subprocess
import sys
import tomllib

import pytest
from places import ROOT

pytest_plugins = ["pytester"]

PLUGIN = "langchain_mistral_imagegen.pytest_plugin"
APP = """
    from langchain_mistral_imagegen import ChatMistralConversations, MistralImageGenerationTool

    def poster(event):
        return MistralImageGenerationTool().generate(f"a poster for {event}")

    def ask(*messages):
        return ChatMistralConversations(max_retries=0).invoke(list(messages))
"""


@pytest.fixture
def passes(pytester, monkeypatch):
    """Runs tests of an app and reports whether they passed; by this plugin alone, whether it is installed or not."""
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    pytester.makepyfile(app=APP)

    def run(code: str, passed: int = 1) -> None:
        pytester.makepyfile(test_app=code)
        result = pytester.runpytest_subprocess("-p", PLUGIN, "-W", "error", timeout=60)
        result.assert_outcomes(passed=passed)

    return run


@pytest.mark.slow
def test_an_app_needs_no_change(passes, pytester):
    passes("""
        from app import poster

        def test_it_draws_one(mistral_sandbox, tmp_path):
            artifact = poster("the summer fair")
            assert mistral_sandbox.paid == 1
            assert "a poster for the summer fair" in mistral_sandbox.prompts[0]
            assert (tmp_path / "generated_images" / artifact["images"][0]["key"]).exists()
    """)
    assert list(pytester.path.glob("generated_images")) == []


@pytest.mark.slow
def test_each_test_has_a_sandbox_and_an_environment_of_its_own(passes):
    code = """
        import os
        from app import poster

        def test_one(mistral_sandbox):
            poster("a concert")
            assert os.environ["MISTRAL_BASE_URL"] == mistral_sandbox.url

        def test_another(mistral_sandbox):
            assert (mistral_sandbox.paid, mistral_sandbox.prompts) == (0, [])

        def test_without():
            assert not {"MISTRAL_API_KEY", "MISTRAL_BASE_URL", "MISTRAL_IMAGEGEN_STORE"} & os.environ.keys()
    """
    passes(code, passed=3)


@pytest.mark.slow
def test_replies_and_faults_are_scripted(passes):
    code = """
        import pytest
        from app import ask
        from langchain_mistral_imagegen import images_of
        from langchain_mistral_imagegen.errors import OutcomeUnknownError
        from langchain_mistral_imagegen.sandbox import Behavior

        def test_words_instead_of_an_image(mistral_sandbox):
            mistral_sandbox.behave(Behavior(shape="text", text="I would rather not."))
            answer = ask("Draw a wolf.")
            assert (answer.text, images_of(answer), mistral_sandbox.paid) == ("I would rather not.", [], 0)

        def test_a_fault(mistral_sandbox):
            mistral_sandbox.behave(Behavior(status=503))
            with pytest.raises(OutcomeUnknownError):
                ask("Draw a wolf.")
            assert [request.status for request in mistral_sandbox.requests] == [503]
            assert mistral_sandbox.prompts == ["Draw a wolf."]
    """
    passes(code, passed=2)


@pytest.mark.slow
def test_what_arrives_is_the_users_last_message(passes):
    passes("""
        from app import ask
        from langchain_mistral_imagegen import ChatMistralConversations, api

        def test_three_turns(mistral_sandbox):
            first = ask("Draw a wolf.")
            second = ask("Draw a wolf.", first, ("user", [{"type": "text", "text": "Make it white."}]))
            ask(("user", "Hello"), ("ai", "Hi!"), ("user", "Draw a fox."))
            model = ChatMistralConversations(transport="completions")
            model.invoke("Draw a hen.")
            model.client.run(api.create_agent(name="Painter", model="mistral-medium-latest"))
            assert mistral_sandbox.prompts == ["Draw a wolf.", "Make it white.", "Draw a fox.", "Draw a hen."]
    """)


@pytest.mark.slow
def test_results_of_functions_are_no_prompts(passes):
    passes("""
        from langchain_core.messages import HumanMessage, ToolMessage
        from langchain_mistral_imagegen import ChatMistralConversations

        def weather(city: str) -> str:
            '''Return the weather of a city.'''

        def test_a_call(mistral_sandbox):
            model = ChatMistralConversations().bind_tools([weather])
            asked = HumanMessage("What is the weather in Paris?")
            answer = model.invoke([asked])
            model.invoke([asked, answer, ToolMessage("sunny", tool_call_id=answer.tool_calls[0]["id"])])
            assert mistral_sandbox.prompts == ["What is the weather in Paris?"]
    """)


def test_pytest_finds_the_plugin_once_the_package_is_installed():
    pyproject = tomllib.loads((ROOT / "pyproject.toml").read_text())
    assert pyproject["project"]["entry-points"]["pytest11"] == {"mistral_imagegen": PLUGIN}


def test_importing_it_is_cheap():
    code = f"import sys, pytest; before = set(sys.modules); import {PLUGIN}; print(*(set(sys.modules) - before))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    package = PLUGIN.partition(".")[0]
    assert set(done.stdout.split()) == {package, f"{package}._version", PLUGIN}
