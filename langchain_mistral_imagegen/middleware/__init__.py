"""Middleware for LangChain's agents (extra `agent`): images kept out of the state, models of several providers."""

from __future__ import annotations

from langchain_mistral_imagegen.middleware.images import ImagesMiddleware
from langchain_mistral_imagegen.middleware.portable import PortableMessagesMiddleware

__all__ = ["ImagesMiddleware", "PortableMessagesMiddleware"]
