"""Wanted, paid and stored are one number where a request leaves late, and its process is killed while the server draws.

"Late" is later than `timeout` after the program began.
"""

from __future__ import annotations

import functools
import signal
import time

import pytest
from killing import resume
from places import stored_images
from zygote import run, zygote

from langchain_mistral_imagegen.sandbox import Behavior

PATIENT = {"timeout": 2, "answer_within": 6}
HASTY = {"timeout": 1, "answer_within": 1}
DRAWING = Behavior(delay=2)


@pytest.fixture(scope="module")
def program(tmp_path_factory):
    with zygote("paying_program", tmp_path_factory.mktemp("zygote")) as path:
        yield path


class Trial:
    """Runs one program again and again, which wants one image."""

    def __init__(self, program, cell, sandbox, folder) -> None:
        self._run = functools.partial(run, program, cell, sandbox.url, str(folder), 0)
        self._sandbox, self._folder = sandbox, folder

    def kill(self, settings, **when) -> None:
        if (code := self._run({**settings, "max_retries": 2}, **when)) == 0:
            pytest.skip("the machine stood still for seconds, so the program ended before it was killed")
        assert code == -signal.SIGKILL

    def kill_while_drawing(self, settings, *, refused) -> None:
        """Kill it when the server draws, after it has refused so many requests."""

        def is_drawing() -> bool:
            sent, answered = (
                [one for one in requests if one.method == "POST"]
                for requests in (self._sandbox.waiting, self._sandbox.requests)
            )
            return len(answered) == refused and bool(sent)

        self.kill(settings, kill_when=is_drawing)

    def resume(self, settings) -> None:
        assert resume(lambda: self._run(settings))[-1] == 0
        while self._sandbox.waiting:  # it draws for the dead, too
            time.sleep(0.02)
        assert (self._sandbox.paid, len(stored_images(self._folder / "images"))) == (1, 1)


@pytest.mark.slow
@pytest.mark.parametrize("cell", ["node, async", "command, its key forgotten in between"])
def test_a_request_that_waited_for_a_minutes_quota(program, cell, sandbox, tmp_path):
    sandbox.behave(Behavior(quota="minute", headers={"retry-after": "3"}), DRAWING)
    trial = Trial(program, cell, sandbox, tmp_path)
    trial.kill_while_drawing(PATIENT, refused=1)
    trial.resume(PATIENT)


@pytest.mark.slow
def test_a_request_that_waited_for_its_rate_limiter(program, sandbox, tmp_path):
    sandbox.behave(DRAWING)
    trial = Trial(program, "tool in create_agent", sandbox, tmp_path)
    trial.kill_while_drawing({**PATIENT, "pause": 3}, refused=0)
    trial.resume(PATIENT)


@pytest.mark.slow
@pytest.mark.parametrize("cell", ["node, async", "tool in create_agent"])
def test_a_request_that_waited_for_one_that_a_gateway_refused(program, cell, sandbox, tmp_path):
    sandbox.behave(Behavior(status=503, body="a gateway"), DRAWING)
    trial = Trial(program, cell, sandbox, tmp_path)
    trial.kill(HASTY, kill_after=1.5)
    trial.kill_while_drawing(PATIENT, refused=1)
    trial.resume(PATIENT)
