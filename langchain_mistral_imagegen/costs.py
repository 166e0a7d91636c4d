"""Estimate what answers cost. Mistral reports tokens and calls of built-in tools, but no prices: set these yourself.

An estimate lists the cost of each part. A part without a price is unknown; it never counts as 0.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

from langchain_core.messages import AIMessage, BaseMessage, ToolMessage
from langchain_core.messages.ai import UsageMetadata
from typing_extensions import TypedDict

from langchain_mistral_imagegen.errors import InvalidInputError

Unit: TypeAlias = Literal["input tokens", "output tokens", "calls"]
Paid: TypeAlias = BaseMessage | Iterable[BaseMessage] | Mapping[str, Any]
_MILLION = 1_000_000
_ARTIFACT = {"schema_version", "model", "usage"}  # of `ImageGenerationArtifact`


class ModelPrice(TypedDict):
    """The price of a million of a model's tokens."""

    input: float
    """Also of connector tokens, which `usage_metadata` counts as input."""
    output: float


@dataclass(frozen=True, kw_only=True)
class Prices:
    """The prices of tokens and of calls.

    Attributes:
        models: The price of a million tokens, by the `model_name` of `response_metadata`; none is known by default.
        connectors: The price of one call of a built-in tool, by its name. By default only `image_generation`, at 0.10,
            an assumption of November 2026. Mistral's API documentation names no price, and no bill was checked; see
            https://mistral.ai/pricing.
        currency: The currency of all prices.

    Raises:
        InvalidInputError: If a price is not a number of at least 0.
    """

    models: Mapping[str, ModelPrice] = field(default_factory=dict)
    connectors: Mapping[str, float] = field(default_factory=lambda: {"image_generation": 0.10})
    currency: str = "USD"

    def __post_init__(self) -> None:
        """Check the prices."""
        for model, price in self.models.items():
            if not isinstance(price, Mapping) or price.keys() != ModelPrice.__annotations__.keys():
                raise InvalidInputError(
                    f"The price of {model!r} is {price!r}; give 'input' and 'output', for a million tokens each"
                )
        prices: dict[str, Any] = {
            f"{model} {unit}": one for model, price in self.models.items() for unit, one in price.items()
        }
        for name, given in {**prices, **self.connectors}.items():
            is_number = isinstance(given, (int, float)) and not isinstance(given, bool)
            if not is_number or not math.isfinite(given) or given < 0:
                raise InvalidInputError(f"The price of {name!r} is {given!r}; give a number of at least 0")

    def of(self, name: str, unit: Unit) -> float | None:
        """Return the price of one call or token, or `None` if it is not known."""
        if unit == "calls":
            return self.connectors.get(name)
        price = self.models.get(name)
        return None if price is None else price["input" if unit == "input tokens" else "output"] / _MILLION


PRICES = Prices()


@dataclass(frozen=True)
class CostPart:
    """A part of the cost.

    Attributes:
        name: Name of a model or of a built-in tool.
        unit: What `quantity` counts.
        quantity: `None` if it is not known, as for an answer that `ConversationNode` adopted.
        cost: `None` if the price or the quantity is not known.
    """

    name: str
    unit: Unit
    quantity: int | None
    cost: float | None


@dataclass(frozen=True)
class CostEstimate:
    """The estimated cost, as far as prices and quantities are known.

    Attributes:
        parts: All parts of the cost.
        currency: The currency of the costs.
    """

    parts: tuple[CostPart, ...]
    currency: str

    @property
    def total(self) -> float | None:
        """The sum of all parts, or `None` if a part is not known; `known` is the sum of the others."""
        return None if self.unknown else self.known

    @property
    def known(self) -> float:
        """The sum of the known parts: the actual cost is at least this."""
        return sum(part.cost for part in self.parts if part.cost is not None)

    @property
    def unknown(self) -> tuple[CostPart, ...]:
        """The parts whose cost is not known."""
        return tuple(part for part in self.parts if part.cost is None)


def estimate_cost(paid: Paid, prices: Prices = PRICES) -> CostEstimate:
    """Estimate what answers cost: tokens, and calls of built-in tools.

    Discounts, taxes and requests whose answer was lost are not included. Failed calls count, too, because Mistral
    reports them. Answers from a LangChain cache cost nothing.

    Args:
        paid: An answer; messages, including tool messages with an artifact of `MistralImageGenerationTool`; a state
            with `messages`; such an artifact; or the `usage_metadata` of a `UsageMetadataCallbackHandler`, which does
            not count calls, so that their cost is unknown if there were any.
        prices: The prices.

    Raises:
        InvalidInputError: If `paid` is none of these.

    Example:
        ```python
        prices = Prices(models={"mistral-medium-latest": {"input": 0.4, "output": 2.0}})
        estimate_cost(answer, prices).total
        ```
    """
    quantities: dict[tuple[str, Unit], int | None] = {}
    for name, unit, quantity in _quantities(paid):
        so_far = quantities.get((name, unit), 0)
        quantities[name, unit] = None if so_far is None or quantity is None else so_far + quantity
    parts = (CostPart(*what, quantity, _cost(prices.of(*what), quantity)) for what, quantity in quantities.items())
    return CostEstimate(tuple(parts), prices.currency)


def _cost(price: float | None, quantity: int | None) -> float | None:
    return None if price is None or quantity is None else price * quantity


_Quantities: TypeAlias = Iterator[tuple[str, Unit, int | None]]


def _quantities(paid: Paid) -> _Quantities:
    if isinstance(paid, BaseMessage):
        yield from _of_message(paid)
    elif isinstance(paid, Mapping):
        yield from _of_mapping(paid)
    elif isinstance(paid, Iterable) and not isinstance(paid, (str, bytes)):
        for message in paid:
            if not isinstance(message, BaseMessage):
                raise _not_estimable(message)
            yield from _of_message(message)
    else:
        raise _not_estimable(paid)


def _of_mapping(paid: Mapping[str, Any]) -> _Quantities:
    if paid.keys() >= _ARTIFACT:
        yield from _of_answer(paid["model"], paid["usage"], paid.get("connectors"))
    elif "messages" in paid:
        yield from _quantities(paid["messages"])
    else:
        for model, usage in paid.items():
            yield from _of_answer(model, usage)


def _of_message(message: BaseMessage) -> _Quantities:
    if isinstance(message, ToolMessage):
        if isinstance(message.artifact, Mapping) and message.artifact.keys() >= _ARTIFACT:
            yield from _of_mapping(message.artifact)
    elif isinstance(message, AIMessage):
        metadata, usage = message.response_metadata, message.usage_metadata
        if usage is not None or "model_name" in metadata:  # otherwise a person wrote it
            yield from _of_answer(metadata.get("model_name", "unknown model"), usage, metadata.get("connectors"))


def _of_answer(model: str, usage: UsageMetadata | None, connectors: Mapping[str, int] | None = None) -> _Quantities:
    if usage is None:
        yield from ((model, unit, None) for unit in ("input tokens", "output tokens"))
        return
    if not isinstance(usage, Mapping) or not {"input_tokens", "output_tokens"} <= usage.keys():
        raise _not_estimable({model: usage})
    if usage.get("total_cost") == 0:  # LangChain marks answers from a cache like this
        return
    if usage["input_tokens"]:
        yield model, "input tokens", usage["input_tokens"]
    if usage["output_tokens"]:
        yield model, "output tokens", usage["output_tokens"]
    if connectors is None and usage.get("input_token_details", {}).get("connector"):
        yield "built-in tools", "calls", None
    for name, calls in (connectors or {}).items():
        yield name, "calls", calls


def _not_estimable(paid: object) -> InvalidInputError:
    return InvalidInputError(
        f"The cost of {type(paid).__name__} cannot be estimated: give an answer, messages, a state with messages, the "
        "artifact of the image tool, or usage by model as UsageMetadataCallbackHandler has it"
    )
