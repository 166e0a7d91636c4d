"""The public TypedDicts, as pydantic sees them: pydantic refuses those of `typing` below Python 3.12."""

from __future__ import annotations

import importlib
import pkgutil
from typing import Any

import pytest
from fastapi import FastAPI
from pydantic import BaseModel, TypeAdapter
from starlette.testclient import TestClient
from typing_extensions import is_typeddict

import langchain_mistral_imagegen
from langchain_mistral_imagegen import ChatMistralConversations, ImageRef, create_image_graph

REF: ImageRef = {"id": "f", "status": "stored", "key": "ab/cd.jpg", "width": 1024}


class Gallery(BaseModel):
    images: list[ImageRef]


def typed_dicts() -> list[Any]:
    names = [
        module.name
        for module in pkgutil.walk_packages(langchain_mistral_imagegen.__path__, "langchain_mistral_imagegen.")
    ]
    modules = [importlib.import_module(name) for name in names if "__main__" not in name]
    found = {one for module in modules for one in vars(module).values() if is_typeddict(one)}
    return sorted((one for one in found if one.__module__.startswith("langchain_mistral_imagegen")), key=repr)


@pytest.mark.parametrize("cls", typed_dicts(), ids=lambda cls: cls.__name__)
def test_each_has_a_schema(cls):
    TypeAdapter(cls)


def test_a_graph_has_schemas():
    graph = create_image_graph(ChatMistralConversations(api_key="k"), image_store="memory://schemas").compile()
    assert "messages" in graph.get_input_jsonschema()["properties"]
    assert "ImageRef" in graph.get_output_jsonschema()["$defs"]


def test_a_web_app_answers_with_references():
    app = FastAPI()

    @app.get("/gallery")
    def gallery() -> Gallery:
        return Gallery(images=[REF])

    client = TestClient(app)
    assert client.get("/gallery").json() == {"images": [REF]}
    assert "ImageRef" in client.get("/openapi.json").json()["components"]["schemas"]
