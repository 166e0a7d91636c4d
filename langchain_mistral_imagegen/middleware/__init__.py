"""Middleware for LangChain's agents (extra `agent`): images outside the state, confirmations, paying once."""

from __future__ import annotations

try:
    import langchain.agents.middleware  # noqa: F401  # what the classes below extend
except ImportError as error:  # pragma: no branch
    raise ImportError(
        "The middleware needs LangChain: pip install 'langchain-mistral-imagegen[agent]'", name=error.name
    ) from error

from langchain_mistral_imagegen.middleware.confirmation import ConfirmationMiddleware
from langchain_mistral_imagegen.middleware.images import ImagesMiddleware
from langchain_mistral_imagegen.middleware.pay_once import PayOnceMiddleware
from langchain_mistral_imagegen.middleware.portable import PortableMessagesMiddleware

__all__ = ["ConfirmationMiddleware", "ImagesMiddleware", "PayOnceMiddleware", "PortableMessagesMiddleware"]
