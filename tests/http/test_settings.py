"""Where requests go, and what goes with them."""

from __future__ import annotations

import pytest

from langchain_mistral_imagegen._http.settings import Settings
from langchain_mistral_imagegen._protocol.requests import Request, download_url
from langchain_mistral_imagegen._protocol.signed_urls import ImageHosts
from langchain_mistral_imagegen.errors import ImageUnavailableError

LIST = Request(method="GET", path="/v1/conversations")


def settings(url: str, **options) -> Settings:
    return Settings(base_url=url, api_key=lambda: "canary", **options)


@pytest.mark.parametrize(
    ("url", "trusted"),
    [
        ("https://mistralaiblackforestprod.blob.core.windows.net/i.jpg?sig=S", True),
        ("https://mistralaifilesapiprodswe.blob.core.windows.net:443/i.jpg?sig=S", True),
        ("https://api.mistral.ai/blob/i.jpg?sig=S", True),
        ("http://mistralaiblackforestprod.blob.core.windows.net/i.jpg?sig=S", False),
        ("https://mistral.blob.core.windows.net.evil.example/i.jpg?sig=S", False),
        ("https://evil.example/mistral.blob.core.windows.net?sig=S", False),
        ("https://mistral@evil.example/i.jpg?sig=S", False),
        ("https://mistral.blob.core.windows.net:8443/i.jpg?sig=S", False),
        ("https://169.254.169.254/i.jpg?sig=S", False),
        ("https://mistralx.blob.core.windows.net/i.jpg?sig=S", False),
        ("file:///etc/passwd?sig=S", False),
    ],
)
def test_images_are_downloaded_from_mistral_s_hosts_only(url, trusted):
    request = download_url(url, sink=None)
    if trusted:
        assert settings("https://api.mistral.ai").url(request) == url
    else:
        with pytest.raises(ImageUnavailableError, match="not a host of Mistral's") as caught:
            settings("https://api.mistral.ai").url(request)
        assert "sig=" not in str(caught.value)


def test_a_further_host_can_be_trusted():
    url, hosts = "https://new.blob.core.windows.net/i.jpg?sig=S", ImageHosts(frozenset({"new.blob.core.windows.net"}))
    assert settings("https://api.mistral.ai", image_hosts=hosts).url(download_url(url, sink=None)) == url


def test_the_key_goes_to_the_api_only():
    chosen = settings("https://api.mistral.ai/", headers={"x-team": "a"})
    api = chosen.build(LIST)
    blob = chosen.build(download_url("https://mistralaiblackforestprod.blob.core.windows.net/i.jpg?sig=S", sink=None))
    assert (api.url, api.headers["authorization"], api.headers["x-team"]) == (
        "https://api.mistral.ai/v1/conversations",
        "Bearer canary",
        "a",
    )
    assert "authorization" not in blob.headers
    assert "x-team" not in blob.headers
    assert "canary" not in repr(chosen)
