"""Texts for people who type commands: errors of the library name its parameters and methods."""

from __future__ import annotations

import re

_REPLACEMENTS = tuple(
    (re.compile(pattern), words)
    for pattern, words in (
        (r"; call `(?:model\.)?reconcile\(\w*\)` to look for the answer", ""),
        (r"`(?:model\.)?reconcile\(\w*\)`", "`mistral-imagegen show`"),
        (r" or pass api_key=[^\s;]*", ""),
        (r"\b(?:mistral_)?api_key\b=?", "MISTRAL_API_KEY"),
        (r"\bbase_url\b=?", "--base-url"),
        (r"\bimage_store\b=?", "--output"),
        (r"\bagent_id\b=", "--agent-id "),
        (r"\bmax_retries\b=?", "retries"),
    )
)


def in_words_of_the_command(text: str) -> str:
    """Replace the names of parameters by those of options and variables."""
    for pattern, words in _REPLACEMENTS:
        text = pattern.sub(words, text)
    return text
