"""README and guides, and the code in them."""

from __future__ import annotations

import re
from pathlib import Path

from places import COOKBOOK, README

GUIDES = sorted((COOKBOOK / "guides").glob("*.md"))
PAGES = [README, *GUIDES]


def fences(page: Path, language: str) -> list[str]:
    """Return the code blocks of a page in a language, which is the whole of what stands behind the backticks."""
    return re.findall(rf"^```{language}\n(.*?)^```", page.read_text(), re.MULTILINE | re.DOTALL)


def guide(name: str) -> Path:
    """Return a guide by its name."""
    return COOKBOOK / "guides" / f"{name}.md"
