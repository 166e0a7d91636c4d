"""A key that no header can hold is refused where the header is made, without showing it."""

import pytest

from langchain_mistral_imagegen._http.settings import Settings
from langchain_mistral_imagegen._protocol.requests import complete_chat
from langchain_mistral_imagegen.errors import InvalidInputError


@pytest.mark.parametrize("key", ["s3cret\u2028x", "s3cret\n", "s3cretä"])
def test_a_key_with_impossible_characters_raises_an_error_without_the_key(key: str) -> None:
    settings = Settings(base_url="https://api.mistral.ai", api_key=lambda: key)
    with pytest.raises(InvalidInputError, match="characters") as caught:
        settings.build(complete_chat({}, stream=False))
    assert "s3cret" not in str(caught.value)
    assert caught.value.__cause__ is None
