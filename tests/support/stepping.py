"""Flows stepped by hand: a test takes the place of the driver."""

from __future__ import annotations

from typing import Any

from langchain_mistral_imagegen._protocol.flows import Failed
from langchain_mistral_imagegen._protocol.retry import RetryPolicy


def forbid_repetition(flow: Any, effect: Any) -> Any:
    """Answer a failed request as a policy without retries does."""
    assert isinstance(effect, Failed)
    return flow.send(None)


def decide(flow: Any, effect: Any, policy: RetryPolicy) -> Any:
    """Answer a failed request as a policy decides."""
    assert isinstance(effect, Failed)
    return flow.send(policy.delay(effect.request, effect.attempt, effect.error))
