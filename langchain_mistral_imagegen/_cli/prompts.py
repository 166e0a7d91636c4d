"""Lists of prompts: a text file with one prompt per line, or JSON lines."""

from __future__ import annotations

import hashlib
import re
import secrets
import sys
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic_core import from_json

from langchain_mistral_imagegen._cli.exit_codes import UsageError
from langchain_mistral_imagegen._cli.file_names import slug

_VERSION = re.compile(r"-([0-9a-f]{8})-v[0-9]+$")
_JSON_SUFFIXES = {".jsonl", ".ndjson"}


class BadPromptsError(UsageError):
    """A list of prompts cannot be read."""


@dataclass(frozen=True)
class Prompt:
    """One of many prompts.

    Attributes:
        id: Identifies the prompt in every run.
        text: The prompt itself.
        name: The names of its files begin with it.
    """

    id: str
    text: str
    name: str


class _Ids:
    """The ids of a list, where a text that occurs again gets a number.

    Attributes:
        given: The prompts so far, by id.
    """

    def __init__(self, given: Mapping[str, Prompt]) -> None:
        self.given = given
        self._counts: Counter[str] = Counter()

    def made(self, text: str) -> str:
        """Make a new id for a text."""
        base = f"{slug(text)}-{hashlib.sha256(text.encode()).hexdigest()[:6]}"
        while True:
            self._counts[base] += 1
            count = self._counts[base]
            if (found := base if count == 1 else f"{base}-{count}") not in self.given:
                return found


def read_prompts(source: str) -> list[Prompt]:
    """Read a whole list of prompts, so that mistakes are found before anything is paid.

    A prompt without an id gets one made from its text, so that lines can be moved. The same text on a second line asks
    for a second image.

    Args:
        source: A file, or `-` for standard input.

    Raises:
        BadPromptsError: If the file cannot be read, or a line is wrong; the message names the line.
    """
    name = "standard input" if source == "-" else source
    prompts: dict[str, Prompt] = {}
    ids = _Ids(prompts)
    for number, given in _entries(source, name):
        try:
            prompt = _prompt(given, ids)
        except BadPromptsError as error:
            raise BadPromptsError(f"{name}, line {number}: {error}") from error
        prompts[prompt.id] = prompt
    if not prompts:
        raise BadPromptsError(f"{name} contains no prompt")
    return list(prompts.values())


def versions(prompt: str, count: int, run: str | None = None) -> list[Prompt]:
    """Make several prompts of one.

    Args:
        prompt: The prompt.
        count: How many.
        run: Digits in the ids of an earlier run that is continued; otherwise all images are new ones.
    """
    stem = f"{slug(prompt)}-{run or secrets.token_hex(4)}"
    return [Prompt(id=f"{stem}-v{number}", text=prompt, name=prompt) for number in range(1, count + 1)]


def run_of(prompt_id: str) -> str | None:
    """Return the digits of the run in the id of one of its `versions`."""
    found = _VERSION.search(prompt_id)
    return found[1] if found else None


def _entries(source: str, name: str) -> Iterator[tuple[int, Any]]:
    """Yield the number and content of each line."""
    lines = [(number, line.strip()) for number, line in enumerate(_read(source, name).split("\n"), start=1)]
    filled = [(number, line) for number, line in lines if line]
    is_json = (
        filled and filled[0][1].startswith("{") if source == "-" else Path(source).suffix.lower() in _JSON_SUFFIXES
    )
    for number, line in filled:
        if is_json:
            try:
                yield number, from_json(line)  # it refuses lone surrogates, which cannot be sent
            except ValueError as error:
                raise BadPromptsError(f"{name}, line {number}: not JSON: {error}") from error
        elif not line.startswith("#"):
            yield number, {"prompt": line}


def _read(source: str, name: str) -> str:
    try:
        data = sys.stdin.buffer.read() if source == "-" else Path(source).read_bytes()
    except OSError as error:
        raise BadPromptsError(f"Cannot read the prompts: {error}") from error
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise BadPromptsError(f"{name}, line {line}: not UTF-8") from error


def _prompt(given: Any, ids: _Ids) -> Prompt:
    if not isinstance(given, dict):
        raise BadPromptsError('not an object such as {"prompt": "Draw a cat."}')
    text, name, chosen = (_text(given, field) for field in ("prompt", "name", "id"))
    if not text:
        raise BadPromptsError("no prompt")
    chosen = chosen or name
    if chosen in ids.given:
        raise BadPromptsError(f"the id {chosen!r} is already used on an earlier line")
    return Prompt(id=chosen or ids.made(text), text=text, name=name or text)


def _text(given: dict[str, Any], field: str) -> str:
    value = given.get(field)
    if field == "id" and isinstance(value, int):
        return str(value)
    if value is not None and not isinstance(value, str):
        raise BadPromptsError(f"{field} is not a text")
    return (value or "").strip()
