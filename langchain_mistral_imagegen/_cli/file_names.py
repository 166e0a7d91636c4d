"""Readable file names for images, made from their prompts."""

from __future__ import annotations

import os
import re
import unicodedata

_MAX_LENGTH, _MAX_BYTES = 60, 120  # a file system takes 255 bytes, with the hash and the suffix
_READ = 1000  # characters of a prompt; normalizing many combining marks takes quadratic time
_REQUEST = re.compile(
    r"""^(?:please\s+|can\ you\s+|could\ you\s+|s'il\ (?:te|vous)\ pla[iî]t,?\s+|bitte\s+|por\ favor\s+)*
    (?:generate|draw|create|make|paint|render|illustrate|show|imagine|sketch
      |g[eé]n[eè]re[rz]?|dessine[rz]?|cr[eé]e[rz]?|peins|imagine[rz]?
      |zeichne|male|erzeuge|erstelle|genera|dibuja|crea|pinta)\b\s*
    (?:me\b|us\b|moi\b|nous\b|mir\b|uns\b)?[\s-]*
    (?:(?:an?|the|une?|le|la|ein|eine|einen|el|un)\s+)?
    (?:(?:picture|image|photo|photograph|drawing|painting|illustration|dessin|bild|imagen)\s+(?:of|de|d'|von)\s*)?
    (?:(?:an?|the|une?|le|la|ein|eine|einen|el|un)\s+)?""",
    re.IGNORECASE | re.VERBOSE,
)


def slug(prompt: str) -> str:
    """Shorten a prompt to lower-case words joined by hyphens, with the letters of all scripts.

    "Generate an orange cat in an office." becomes `orange-cat-in-an-office`; if nothing is left, `image`. The result is
    NFC and at most 60 characters and 120 bytes of UTF-8 long.
    """
    prompt = prompt.strip()[:_READ]
    gist = _REQUEST.sub("", prompt) or prompt
    words = _shortened(_words(unicodedata.normalize("NFC", gist)))
    return words if _is_file_name(words) else _shortened(_words(_ascii(gist))) or "image"


def _words(text: str) -> str:
    # Marks are parts of letters; Unicode calls joiners and directions formats, which nobody sees in a name.
    kept = [
        letter if unicodedata.category(letter)[0] in "LNM" else "-" for letter in text.lower() if not _hidden(letter)
    ]
    return "-".join(filter(None, "".join(kept).split("-")))


def _hidden(letter: str) -> bool:
    return unicodedata.category(letter) == "Cf"


def _ascii(text: str) -> str:
    return unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode()


def _shortened(words: str) -> str:
    if len(words) > _MAX_LENGTH:
        words = words[: _MAX_LENGTH + 1].rpartition("-")[0] or words[:_MAX_LENGTH]
    return words.encode()[:_MAX_BYTES].decode(errors="ignore").rstrip("-")


def _is_file_name(words: str) -> bool:
    """Return whether the file system takes these letters: that of a C locale without UTF-8 does not."""
    try:
        return bool(os.fsencode(words))
    except UnicodeEncodeError:
        return False


def image_name(prompt: str, sha256: str) -> str:
    """Return an image's name: its prompt and the first six digits of its hash."""
    return f"{slug(prompt)}-{sha256[:6]}"
