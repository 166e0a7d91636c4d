"""Mistral's regional hosts, such as `api.eu.mistral.ai`, which take less than `api.mistral.ai`.

By Mistral's documentation of 2026-08-21, functions are the only tools there, and there are no agents and no files.
"""

from __future__ import annotations

import re

from langchain_mistral_imagegen._protocol.requests import Request

_REGIONAL = re.compile(r"api\.[a-z0-9-]+\.mistral\.ai", re.IGNORECASE)
_MISSING_PATH = re.compile("/v1/(agents|files)(/|[?]|$)")


def is_regional(host: str) -> bool:
    """Return whether a host serves one region."""
    return bool(_REGIONAL.fullmatch(host))


def regional_hint(host: str, request: Request | None) -> str:
    """Return the likely cause of a refusal and its remedy; nothing unless a regional host lacks what was requested."""
    if request is None or not is_regional(host) or not (missing := _missing(request)):
        return ""
    return (
        f". The likely cause: {host} is a regional host, which by Mistral's documentation has no {missing}; "
        "use base_url='https://api.mistral.ai', or pass tools=[]"
    )


def _missing(request: Request) -> str:
    body = request.json if isinstance(request.json, dict) else {}
    built_in = sorted({str(tool.get("type")) for tool in body.get("tools") or ()} - {"function"})
    if built_in:
        return f"built-in tools ({', '.join(built_in)})"
    if "agent_id" in body:
        return "agents"
    path = _MISSING_PATH.match(request.path)
    return path[1] if path else ""
