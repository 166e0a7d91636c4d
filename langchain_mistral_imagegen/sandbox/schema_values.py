"""Values that fit a JSON schema, taken from a text where it has something fitting."""

from __future__ import annotations

import re
from typing import Any

Schema = dict[str, Any]
_NUMBER = re.compile(r"-?\d+(?:\.\d+)?")
_STOP_WORDS = {"what", "use", "the", "please", "call", "tell", "get", "is", "i", "a", "how", "and", "can", "you"}


class SchemaValues:
    """Makes values for one text; each number and name in it is used once, then again from the start."""

    def __init__(self, text: str) -> None:
        self._text = text
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
            return self.value(_resolve(schema["$ref"], root), root, name)
        if "const" in schema:
            return schema["const"]
        if "enum" in schema:
            return next((item for item in schema["enum"] if str(item).lower() in self._text.lower()), schema["enum"][0])
        for choice in ("anyOf", "oneOf"):
            if schema.get(choice):
                return self.value(schema[choice][0], root, name)
        if schema.get("allOf"):
            merged = {key: part for item in schema["allOf"] for key, part in item.items()}
            return self.value(merged, root, name)
        return self._typed(schema, root, name)

    def _typed(self, schema: Schema, root: Schema, name: str) -> Any:
        kind = schema.get("type", "object" if "properties" in schema else "string")
        kind = kind[0] if isinstance(kind, list) else kind
        if kind in {"boolean", "null"}:
            return True if kind == "boolean" else None
        match kind:
            case "object":
                return {key: self.value(part, root, key) for key, part in schema.get("properties", {}).items()}
            case "array":
                count = max(1, schema.get("minItems", 1))
                return [self.value(schema.get("items", {"type": "string"}), root, name) for _ in range(count)]
            case "integer":
                return self._number(schema, int)
            case "number":
                return self._number(schema, float)
            case _:
                return self._string(name)

    def _number(self, schema: Schema, kind: type[int | float]) -> float:
        if not self._numbers:
            return kind(schema.get("minimum", 1))
        self._numbers.append(number := self._numbers.pop(0))
        return kind(float(number))

    def _string(self, name: str) -> str:
        if not self._strings:
            return f"{name or 'some'} text"
        found = str(self._strings.pop(0))
        self._strings.append(found)
        return found


def _resolve(reference: str, root: Schema) -> Schema:
    found: Any = root
    for part in reference.removeprefix("#/").split("/"):
        found = found[part]
    resolved: Schema = found
    return resolved
