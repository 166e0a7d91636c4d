"""A local server that speaks Mistral's Agents, Conversations and Files API: offline, free, deterministic.

It is for first steps, tests and recipes. Its images are placeholders drawn from the prompt and its answers come from
a few rules: it proves plumbing, not a model's quality. It shares no code with the rest of the package, so that it
cannot share its mistakes; the official `mistralai` client is its judge.
"""

from __future__ import annotations

from langchain_mistral_imagegen.sandbox.behavior import Behavior

try:
    from langchain_mistral_imagegen.sandbox.records.state import RecordedRequest
    from langchain_mistral_imagegen.sandbox.server import Sandbox
except ImportError as error:  # pragma: no branch
    raise ImportError(
        f"The sandbox needs {error.name}: pip install 'langchain-mistral-imagegen[sandbox]'", name=error.name
    ) from error

__all__ = ["Behavior", "RecordedRequest", "Sandbox"]
