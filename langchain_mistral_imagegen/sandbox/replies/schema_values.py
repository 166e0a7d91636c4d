"""Values that fit a JSON schema, taken from a text where it has something fitting."""

from __future__ import annotations

import math
import re
from collections import Counter
from typing import Any

Schema = dict[str, Any]
_NUMBER = re.compile(r"-?\d+(?:\.\d+)?")
_DEEPEST = 3  # levels of a schema that contains itself
_FORMATTED = {
    "date": "2026-01-31", "time": "12:00:00Z", "date-time": "2026-01-31T12:00:00Z", "email": "ada@example.com",
    "uri": "https://example.com", "uuid": "6f1d7a30-5f0a-4f6e-9c58-0d6f3f2b7c11",
}  # fmt: skip
_STOP_WORDS = {"what", "use", "the", "please", "call", "tell", "get", "is", "i", "a", "how", "and", "can", "you"}


def _written(schema: Schema) -> dict[str, Schema]:
    """Return the properties to write: as a model does, leave out what is optional and nothing by default."""
    required = schema.get("required", ())
    properties: dict[str, Schema] = schema.get("properties", {})
    return {key: part for key, part in properties.items() if key in required or part.get("default", key) is not None}


class SchemaValues:
    """Makes values for one text; each number and name in it is used once, then again from the start."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._depth: Counter[str] = Counter()
        self._numbers = _NUMBER.findall(text)
        quoted = [found for pair in re.findall(r"\"([^\"]+)\"|'([^']+)'", text) for found in pair if found]
        names = [word for word in re.findall(r"\b[A-Z]\w+", text) if word.lower() not in _STOP_WORDS]
        self._strings = quoted + names

    def value(self, schema: Schema, root: Schema | None = None, name: str = "") -> Any:
        """Return a value that fits a schema.

        Args:
            schema: The schema.
            root: The document that `$ref`s point into.
            name: The property's name, if it is one.
        """
        root = schema if root is None else root
        if "$ref" in schema:
            return self._referenced(schema["$ref"], root, name)
        if "const" in schema:
            return schema["const"]
        if "enum" in schema:
            return next((item for item in schema["enum"] if str(item).lower() in self._text.lower()), schema["enum"][0])
        for choice in ("anyOf", "oneOf"):
            if schema.get(choice):
                return self._chosen(schema[choice], root, name)
        if schema.get("allOf"):
            return self.value(_merged([{**schema, "allOf": None}, *schema["allOf"]], root), root, name)
        return self._typed(schema, root, name)

    def _referenced(self, reference: str, root: Schema, name: str) -> Any:
        if self._depth[reference] >= _DEEPEST:
            return None
        self._depth[reference] += 1
        try:
            return self.value(_resolve(reference, root), root, name)
        finally:
            self._depth[reference] -= 1

    def _chosen(self, choices: list[Schema], root: Schema, name: str) -> Any:
        """Take the first choice that does not nest a schema in itself once more."""
        finite = [one for one in choices if self._depth[one.get("$ref", "")] == 0]
        return self.value((finite or choices)[0], root, name)

    def _typed(self, schema: Schema, root: Schema, name: str) -> Any:
        kind = schema.get("type", "object" if "properties" in schema else "string")
        kind = kind[0] if isinstance(kind, list) else kind
        if kind in {"boolean", "null"}:
            return True if kind == "boolean" else None
        match kind:
            case "object":
                return {key: self.value(part, root, key) for key, part in _written(schema).items()}
            case "array":
                count = max(1, schema.get("minItems", 1))
                return [self.value(schema.get("items", {"type": "string"}), root, name) for _ in range(count)]
            case "integer":
                return self._number(schema, int)
            case "number":
                return self._number(schema, float)
            case _:
                return self._string(schema, name)

    def _number(self, schema: Schema, kind: type[int | float]) -> float:
        least, most = schema.get("minimum", -math.inf), schema.get("maximum", math.inf)
        if not self._numbers:
            return kind(min(max(1, least), most))
        self._numbers.append(number := self._numbers.pop(0))
        return kind(min(max(float(number), least), most))

    def _string(self, schema: Schema, name: str) -> str:
        if schema.get("format") in _FORMATTED:
            return _FORMATTED[schema["format"]]
        found = f"{name or 'some'} text"
        if name == "prompt" and self._text.strip():
            found = self._text.strip()
        elif self._strings:
            found = str(self._strings.pop(0))
            self._strings.append(found)
        return found.ljust(schema.get("minLength", 0), ".")[: schema.get("maxLength")]


def _merged(schemas: list[Schema], root: Schema) -> Schema:
    """Return one schema for `allOf`; of keys other than `properties` the last one holds."""
    whole: Schema = {}
    for schema in schemas:
        part = _resolve(schema["$ref"], root) if "$ref" in schema else schema
        properties = {**whole.get("properties", {}), **part.get("properties", {})}
        whole = {**whole, **part} | ({"properties": properties} if properties else {})
    return whole


def _resolve(reference: str, root: Schema) -> Schema:
    found: Any = root
    for part in reference.removeprefix("#/").split("/"):
        found = found[part]
    resolved: Schema = found
    return resolved
