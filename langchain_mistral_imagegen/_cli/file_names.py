"""Readable file names for images, made from their prompts."""

from __future__ import annotations

import re
import unicodedata

_MAX_LENGTH = 60
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
    """Shorten a prompt to lower-case ASCII words joined by hyphens, 60 characters at most.

    "Generate an orange cat in an office." becomes `orange-cat-in-an-office`; if nothing is left, `image`.
    """
    prompt = prompt.strip()[:_READ]
    gist = _REQUEST.sub("", prompt) or prompt
    ascii_text = unicodedata.normalize("NFKD", gist).encode("ascii", "ignore").decode().lower()
    words = "-".join(re.findall(r"[a-z0-9]+", ascii_text))
    if len(words) > _MAX_LENGTH:
        words = words[: _MAX_LENGTH + 1].rpartition("-")[0] or words[:_MAX_LENGTH]
    return words or "image"


def image_name(prompt: str, sha256: str) -> str:
    """Return an image's name: its prompt and the first six digits of its hash."""
    return f"{slug(prompt)}-{sha256[:6]}"
