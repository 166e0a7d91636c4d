"""What answers cost. Mistral tells tokens and calls of built-in tools, but no prices: these are data, and yours to set.

An estimate says of each part what is known. A price that is missing leaves its part unknown; it never counts as 0.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias, TypedDict

from langchain_core.messages import AIMessage, BaseMessage, ToolMessage
from langchain_core.messages.ai import UsageMetadata

from langchain_mistral_imagegen.errors import InvalidInputError

Unit: TypeAlias = Literal["input tokens", "output tokens", "calls"]
Paid: TypeAlias = BaseMessage | Iterable[BaseMessage] | Mapping[str, Any]
_MILLION = 1_000_000
_ARTIFACT = {"schema_version", "model", "usage"}  # of `ImageGenerationArtifact`


class ModelPrice(TypedDict):
    """What a million of a model's tokens cost."""

    input: float
    """Also of connector tokens, which `usage_metadata` counts as input."""
    output: float


@dataclass(frozen=True, kw_only=True)
class Prices:
    """What is charged.

    Attributes:
        models: The price of a million tokens, by the `model_name` of `response_metadata`; none is known by default.
        connectors: The price of one call of a built-in tool, by its name. By default `image_generation` alone, at about
            0.10, which is what this package was designed with in November 2026. Mistral's API documents name no
            price, and no bill was looked at: https://mistral.ai/pricing decides.
        currency: Of all of them.

    Raises:
        InvalidInputError: If a price is not a number of at least 0.
    """

    models: Mapping[str, ModelPrice] = field(default_factory=dict)
    connectors: Mapping[str, float] = field(default_factory=lambda: {"image_generation": 0.10})
    currency: str = "USD"

    def __post_init__(self) -> None:
        """Check that prices are prices."""
        for model, price in self.models.items():
            if not isinstance(price, Mapping) or price.keys() != ModelPrice.__annotations__.keys():
                raise InvalidInputError(
                    f"The price of {model!r} is {price!r}; it needs 'input' and 'output', for a million tokens"
                )
        prices: dict[str, Any] = {
            f"{model} {unit}": one for model, price in self.models.items() for unit, one in price.items()
        }
        for name, given in {**prices, **self.connectors}.items():
            is_number = isinstance(given, (int, float)) and not isinstance(given, bool)
            if not is_number or not math.isfinite(given) or given < 0:
                raise InvalidInputError(f"The price of {name!r} is {given!r}; a price is a number of at least 0")

    def of(self, name: str, unit: Unit) -> float | None:
        """Return the price of one call or token, or `None` if it is not known."""
        if unit == "calls":
            return self.connectors.get(name)
        price = self.models.get(name)
        return None if price is None else price["input" if unit == "input tokens" else "output"] / _MILLION


PRICES = Prices()


@dataclass(frozen=True)
class CostPart:
    """Something that is charged.

    Attributes:
        name: A model or a built-in tool.
        unit: What is counted.
        quantity: `None` if nobody told it, as with an answer that `ConversationNode` adopted.
        cost: `None` if the price or the quantity is not known.
    """

    name: str
    unit: Unit
    quantity: int | None
    cost: float | None


@dataclass(frozen=True)
class CostEstimate:
    """What something costs, as far as is known.

    Attributes:
        parts: All that is charged.
        currency: Of the costs.
    """

    parts: tuple[CostPart, ...]
    currency: str

    @property
    def total(self) -> float | None:
        """The sum, or `None` if a part is not known; `known` has the sum of the others then."""
        return None if self.unknown else self.known

    @property
    def known(self) -> float:
        """The sum of the parts that are known: at least this much is charged."""
        return sum(part.cost for part in self.parts if part.cost is not None)

    @property
    def unknown(self) -> tuple[CostPart, ...]:
        """The parts whose cost is not known."""
        return tuple(part for part in self.parts if part.cost is None)


def estimate_cost(paid: Paid, prices: Prices = PRICES) -> CostEstimate:
    """Estimate what answers cost: tokens, and calls of built-in tools.

    It is an estimate: it knows nothing of discounts and taxes, nor of requests whose answer was lost. Calls count also
    if they failed, because Mistral reports them so. What came out of a LangChain cache costs nothing.

    Args:
        paid: An answer; messages, where the artifacts of `MistralImageGenerationTool` count too; a state with
            `messages`; such an artifact; or the `usage_metadata` of a `UsageMetadataCallbackHandler`, which has no
            number of calls, so that these are unknown if there were any.
        prices: What is charged.

    Raises:
        InvalidInputError: If `paid` is nothing of that.

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
                raise _unfit(message)
            yield from _of_message(message)
    else:
        raise _unfit(paid)


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
        told, usage = message.response_metadata, message.usage_metadata
        if usage is not None or "model_name" in told:  # otherwise a person wrote it
            yield from _of_answer(told.get("model_name", "unknown model"), usage, told.get("connectors"))


def _of_answer(model: str, usage: UsageMetadata | None, connectors: Mapping[str, int] | None = None) -> _Quantities:
    if usage is None:
        yield from ((model, unit, None) for unit in ("input tokens", "output tokens"))
        return
    if not isinstance(usage, Mapping) or not {"input_tokens", "output_tokens"} <= usage.keys():
        raise _unfit({model: usage})
    if usage.get("total_cost") == 0:  # LangChain's mark on what a cache had
        return
    if usage["input_tokens"]:
        yield model, "input tokens", usage["input_tokens"]
    if usage["output_tokens"]:
        yield model, "output tokens", usage["output_tokens"]
    if connectors is None and usage.get("input_token_details", {}).get("connector"):
        yield "built-in tools", "calls", None
    for name, calls in (connectors or {}).items():
        yield name, "calls", calls


def _unfit(paid: object) -> InvalidInputError:
    return InvalidInputError(
        f"The cost of {type(paid).__name__} cannot be estimated: give an answer, messages, a state with messages, the "
        "artifact of the image tool, or usage by model as UsageMetadataCallbackHandler has it"
    )
