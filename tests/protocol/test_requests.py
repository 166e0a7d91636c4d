"""Requests."""

from __future__ import annotations

from langchain_mistral_imagegen._protocol import requests


def test_ids_are_escaped_and_secrets_are_not_shown():
    assert requests.conversation_history("a/../b").path == "/v1/conversations/a%2F..%2Fb/history"
    request = requests.download_url("https://h/x.jpg?sig=SECRET", sink=None)
    assert (str(request), request.authorized) == ("GET /x.jpg", False)


def test_queries_are_escaped_objects_are_json_and_nothing_is_sent_for_none():
    request = requests.resource("GET", "agents", "a/b", query={"name": "a b&c", "metadata": {"k": 1}, "search": None})
    assert request.path == "/v1/agents/a%2Fb?name=a+b%26c&metadata=%7B%22k%22%3A+1%7D"
    assert requests.resource("GET", "agents", query={"name": None}).path == "/v1/agents"


def test_only_conversing_is_paid():
    assert requests.start_conversation({}).paid
    assert requests.append_to_conversation("c", {}, stream=True).paid
    assert not requests.conversation_history("c").paid
