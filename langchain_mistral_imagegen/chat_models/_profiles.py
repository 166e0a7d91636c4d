"""What is known of Mistral's models: how much they read, and whether they see images.

From the data of langchain-mistralai 1.1.6 (https://models.dev), November 2026. Nothing is claimed for other models.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import NamedTuple

from langchain_core.language_models.model_profile import ModelProfile


class ModelFacts(NamedTuple):
    """What is known of a model.

    Attributes:
        max_input_tokens: Tokens of its context.
        sees: Whether it takes images.
    """

    max_input_tokens: int
    sees: bool


MODELS: Mapping[str, ModelFacts] = MappingProxyType(
    {
        "codestral-latest": ModelFacts(256_000, sees=False),
        "devstral-latest": ModelFacts(262_144, sees=False),
        "devstral-medium-latest": ModelFacts(262_144, sees=False),
        "magistral-medium-latest": ModelFacts(128_000, sees=False),
        "ministral-3b-latest": ModelFacts(128_000, sees=False),
        "ministral-8b-latest": ModelFacts(128_000, sees=False),
        "mistral-large-2411": ModelFacts(131_072, sees=False),
        "mistral-large-2512": ModelFacts(262_144, sees=True),
        "mistral-large-latest": ModelFacts(262_144, sees=True),
        "mistral-medium-2505": ModelFacts(131_072, sees=True),
        "mistral-medium-2508": ModelFacts(262_144, sees=True),
        "mistral-medium-2604": ModelFacts(262_144, sees=True),
        "mistral-medium-latest": ModelFacts(262_144, sees=True),
        "mistral-small-2506": ModelFacts(128_000, sees=True),
        "mistral-small-2603": ModelFacts(256_000, sees=True),
        "mistral-small-latest": ModelFacts(256_000, sees=True),
        "open-mistral-nemo": ModelFacts(128_000, sees=False),
        "pixtral-12b": ModelFacts(128_000, sees=True),
        "pixtral-large-latest": ModelFacts(128_000, sees=True),
    }
)


def model_profile(model: str) -> ModelProfile:
    """Return the profile of a model, as far as it is known."""
    profile = _profile(takes_tools=True)
    if facts := MODELS.get(model):
        profile["max_input_tokens"] = facts.max_input_tokens
        for kind in ("image_inputs", "image_url_inputs", "pdf_inputs"):
            profile[kind] = facts.sees
    return profile


def agent_profile() -> ModelProfile:
    """Return the profile of an agent, whose model is not known here and whose tools are its own."""
    return _profile(takes_tools=False)


def _profile(*, takes_tools: bool) -> ModelProfile:
    return ModelProfile(
        text_inputs=True,
        text_outputs=True,
        image_outputs=True,
        tool_calling=takes_tools,
        tool_choice=takes_tools,
        structured_output=takes_tools,
    )
