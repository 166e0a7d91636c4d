"""How to reach the server: base URL, headers, time-outs, TLS, retries."""

from __future__ import annotations

import functools
import json
import ssl
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import httpx

from langchain_mistral_imagegen._http.body import ENCODINGS
from langchain_mistral_imagegen._http.pools import LIMITS
from langchain_mistral_imagegen._protocol.requests import Request
from langchain_mistral_imagegen._protocol.retry import RetryPolicy
from langchain_mistral_imagegen._protocol.signed_urls import ImageHosts
from langchain_mistral_imagegen._version import __version__
from langchain_mistral_imagegen.errors import ImageUnavailableError, InvalidInputError

_CONNECT_SECONDS = 10.0
_USER_AGENT = f"langchain-mistral-imagegen/{__version__}"
_ACCEPTED = ", ".join(ENCODINGS)
_encode = json.JSONEncoder(ensure_ascii=False).encode


@dataclass(frozen=True, kw_only=True)
class Settings:
    """How to reach the server.

    Attributes:
        base_url: Scheme, host and port.
        api_key: Returns the key; called for each request, so that a key can change.
        headers: Further headers for requests to the API; signed URLs are fetched without them.
        timeout: Seconds between two pieces of a response. The server sends none while it generates an image.
        image_hosts: The hosts that signed URLs may lead to, besides the server itself.
        deadline: Seconds for one request in all.
        retry: How often a request is retried, and how long to wait before.
    """

    base_url: str
    api_key: Callable[[], str] = field(repr=False)
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    timeout: float = 300.0
    deadline: float = 600.0
    retry: RetryPolicy = field(default_factory=RetryPolicy)
    image_hosts: ImageHosts = field(default_factory=ImageHosts)

    def url(self, request: Request) -> httpx.URL:
        """Return the absolute URL of a request.

        Raises:
            ImageUnavailableError: If an image's URL leads anywhere but to Mistral's blob storage (or, over the
                scheme, host and port of `base_url`, to the server itself).
        """
        if request.authorized:
            # langchain-mistralai's base URLs, which share the environment variable, end with "/v1".
            return _server_url(self.base_url.rstrip("/").removesuffix("/v1") + request.path)
        # Parsed by the library that sends the request: two parsers may see two hosts in one URL.
        url, base = _image_url(request.path), httpx.URL(self.base_url)
        trusted = self.image_hosts.trust(url.scheme, url.raw_host.decode(), url.port)
        if url.userinfo or not (trusted or (url.scheme, url.netloc) == (base.scheme, base.netloc)):
            raise ImageUnavailableError(
                f"The image's URL leads to {url.host!r}, which is not a host of Mistral's that is known; "
                f"if it is one, pass image_hosts=[{url.host!r}]"
            )
        return url

    def build(
        self,
        request: Request,
        extensions: Mapping[str, Any] | None = None,
        given: httpx.Client | httpx.AsyncClient | None = None,
    ) -> httpx.Request:
        """Make the HTTP library's request.

        Args:
            request: What to send.
            extensions: Of the HTTP library.
            given: The user's client, if it sends the request; its defaults are added.
        """
        content = _content(request)
        headers = {"user-agent": _USER_AGENT, "accept": "*/*", **request.headers}
        headers["accept-encoding"] = "identity" if request.sink else _ACCEPTED
        if request.authorized:
            headers |= {**self.headers, "authorization": f"Bearer {_checked(self.api_key())}"}
        if content is not None:
            headers["content-type"] = "application/json"
        build = given.build_request if given else httpx.Request
        return build(
            request.method,
            self.url(request),
            headers=headers,
            content=content,
            extensions={**(extensions or {}), "timeout": self._timeouts},
        )

    @functools.cached_property
    def _timeouts(self) -> dict[str, float | None]:
        return httpx.Timeout(self.timeout, connect=min(_CONNECT_SECONDS, self.timeout), pool=None).as_dict()

    def transport_options(self) -> dict[str, Any]:
        """Return the keyword arguments that `httpx.Client` and `httpx.AsyncClient` share."""
        # For http:// a context that trusts nobody is enough: making it is free, and https from there fails closed.
        plain = self.base_url.startswith("http://")
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT) if plain else _tls()
        return {"limits": LIMITS, "verify": context, "follow_redirects": False}


def _checked(key: str) -> str:
    # The HTTP library's own error would hold the header, and with it the key.
    if key.isascii() and key.isprintable():
        return key
    raise InvalidInputError(
        "The API key has characters that no API key has: check where it was copied from, or MISTRAL_API_KEY"
    )


def _content(request: Request) -> bytes | None:
    if request.json is None:
        return None
    return _encode(request.json).encode("utf-8", "replace")


_server_url = functools.lru_cache(httpx.URL)  # most requests go to one of a few paths


def _image_url(url: str) -> httpx.URL:
    try:
        return httpx.URL(url)
    except httpx.InvalidURL:
        raise ImageUnavailableError("The image's URL cannot be parsed, so it is not a host of Mistral's") from None


@functools.cache
def _tls() -> ssl.SSLContext:
    # 140 ms the first time, 17 ms each time after, so there is one per process.
    return httpx.create_ssl_context()
