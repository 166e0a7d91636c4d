"""The error tree."""

from __future__ import annotations

import inspect

import pytest
from langchain_core import exceptions
from langchain_core.tools import ToolException

from langchain_mistral_imagegen import errors


@pytest.mark.parametrize(
    ("ours", "langchain_s", "retryable"),
    [
        (errors.AuthenticationError, exceptions.ModelAuthenticationError, False),
        (errors.PermissionDeniedError, exceptions.ModelPermissionDeniedError, False),
        (errors.NotFoundError, exceptions.ModelNotFoundError, False),
        (errors.InvalidRequestError, exceptions.ModelInvalidRequestError, False),
        (errors.RateLimitError, exceptions.ModelRateLimitError, True),
        (errors.QuotaExceededError, exceptions.ModelRateLimitError, False),
        (errors.ServerError, exceptions.ModelAPIError, True),
        (errors.APIConnectionError, exceptions.ModelConnectionError, True),
        (errors.APITimeoutError, exceptions.ModelTimeoutError, True),
        (errors.OutcomeUnknownError, exceptions.ModelError, False),
        (errors.StreamInterruptedError, exceptions.ModelError, False),
        (errors.InvalidResponseError, exceptions.ModelError, False),
    ],
)
def test_langchain_knows_what_each_error_is_and_whether_to_retry(ours, langchain_s, retryable):
    assert issubclass(ours, langchain_s)
    assert issubclass(ours, errors.MistralImagegenError)
    assert ours.is_retryable is retryable


def test_a_missing_image_is_for_the_calling_model():
    assert issubclass(errors.NoImageError, ToolException)


def test_every_class_is_in_the_drawn_tree():
    classes = [
        name
        for name, value in vars(errors).items()
        if inspect.isclass(value) and issubclass(value, Exception) and value.__module__ == errors.__name__
    ]
    assert len(classes) > 15
    assert [name for name in classes if f" {name} " not in errors.__doc__.replace("\n", " ")] == []


def test_an_api_error_shows_what_support_asks_for():
    error = errors.ServerError("It broke", status_code=503, code=3000, request_id="r1")
    assert str(error) == "It broke (status 503, code 3000, request r1)"
