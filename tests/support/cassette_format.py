"""Cassettes as documents: bodies are stored parsed, noise is dropped, secrets are never written."""

from __future__ import annotations

import base64
import json
import re
from typing import Any

import yaml

from langchain_mistral_imagegen._conversations.turn import KEY

Json = dict[str, Any]
KEPT_HEADERS = {"content-type", "accept", "mistral-correlation-id"}
SANDBOX_HOST = "http://sandbox.invalid"
_LOCAL = re.compile(r"http://127\.0\.0\.1:\d+")
_SIGNATURE = re.compile(r"(?<=sig=)[^&\"\\\s)]+")


def cleaned(text: str) -> str:
    """Take out what is secret or differs from run to run: signatures, and the sandbox's port."""
    return _SIGNATURE.sub("REMOVED", _LOCAL.sub(SANDBOX_HOST, text))


def clean_request(request: Any) -> Any:
    """Clean a request before it is recorded or compared."""
    request.uri = cleaned(request.uri)
    request.body = _without_key(request.body)
    request.headers = {name: value for name, value in request.headers.items() if name.lower() in KEPT_HEADERS}
    return request


def _without_key(body: bytes | None) -> bytes | None:
    """Take out the key by which a lost answer would be found: it is another one each time."""
    sent = json.loads(body) if body else {}
    if sent.get("metadata", {}).keys() != {KEY}:
        return body
    return json.dumps({name: value for name, value in sent.items() if name != "metadata"}).encode()


def clean_response(response: Json) -> Json:
    """Clean a response before it is recorded."""
    headers = {name: value for name, value in response["headers"].items() if name.lower() in KEPT_HEADERS}
    return {**response, "headers": headers}


def serialize(cassette: Json) -> str:
    """Write a cassette."""
    interactions = [
        {
            "request": {**one["request"], "body": _parsed(one["request"]["body"])},
            "response": {"status": one["response"]["status"]["code"], **_response(one["response"])},
        }
        for one in cassette["interactions"]
    ]
    return yaml.safe_dump({"interactions": interactions}, sort_keys=False, allow_unicode=True, width=120)


def deserialize(text: str) -> Json:
    """Read a cassette."""
    interactions = [
        {
            "request": {**one["request"], "body": _bytes(one["request"]["body"])},
            "response": {
                "status": {"code": one["response"]["status"], "message": ""},
                "headers": one["response"]["headers"],
                "body": {"string": _bytes(one["response"]["body"])},
            },
        }
        for one in yaml.safe_load(text)["interactions"]
    ]
    return {"interactions": interactions, "version": 1}


def _response(response: Json) -> Json:
    return {"headers": response["headers"], "body": _parsed(response["body"]["string"])}


def _parsed(body: bytes | str | None) -> Json | None:
    if not body:
        return None
    data = body if isinstance(body, bytes) else body.encode()
    try:
        text = cleaned(data.decode())
    except UnicodeDecodeError:
        return {"base64": base64.b64encode(data).decode()}
    if text.startswith(("event:", "data:")):
        lines = [line for line in text.splitlines() if line.startswith("data: ")]
        return {"events": [json.loads(line.removeprefix("data: ")) for line in lines]}
    return {"json": json.loads(text)}


def _bytes(body: Json | None) -> bytes:
    match body:
        case {"json": value}:
            return json.dumps(value).encode()
        case {"events": events}:
            return "".join(f"event: {event['type']}\ndata: {json.dumps(event)}\n\n" for event in events).encode()
        case {"base64": data}:
            return base64.b64decode(data)
    return b""
